/**
 * Quotas of contexts: how many, how many tokens, how many pinned pages; of a
 * process and of its principal. What is held is summed by the fold. A generation
 * reserves what it may write before it begins, so that it never stops for a quota
 * half-way: how much it writes would depend on its neighbours.
 */
import { ContixError } from "../../proto/errno.js";
import { NONE, orNone, principalLimit } from "../cap/rates/quota.js";
import type { Config } from "../config.js";
import { showId } from "../ids.js";
import type { Context, Journal, Process } from "../journal/journal.js";
import type { Holdings } from "../journal/state.js";
import { PAGE_TOKENS } from "./page.js";

type Limits = Config["limits"];
type Owner = Pick<Process, "pid" | "principal" | "holds" | "budgets">;

/** What an act would add. */
type Demand = Partial<Holdings>;

const FIX: Record<keyof Holdings, string> = {
  contexts: "close one (`contix ctx ls` lists them)",
  tokens: "close or truncate a context, or pass a smaller max_tokens",
  pinnedPages: "unpin or truncate a context",
};

const NAMES: Record<keyof Holdings, readonly [process: keyof Limits, principal: keyof Limits]> = {
  contexts: ["contextsPerProcess", "contextsPerPrincipal"],
  tokens: ["contextTokensPerProcess", "contextTokensPerPrincipal"],
  pinnedPages: ["pinnedPagesPerProcess", "pinnedPagesPerPrincipal"],
};

interface Reservation {
  readonly context: Context;
  readonly pid: bigint;
  /** The length that the context may come to. */
  readonly until: number;
}

export class Quotas {
  readonly #limits: Limits;
  readonly #journal: Journal;
  readonly #reserved = new Set<Reservation>();

  constructor(limits: Limits, journal: Journal) {
    this.#limits = limits;
    this.#journal = journal;
  }

  /** EDQUOT, with the quota's name, its limit and its use, when `owner` may not add `demand`. */
  check(owner: Owner, demand: Demand): void {
    this.checkProcess(owner, demand);
    const { principal } = owner;
    const held = this.#journal.state.holdings.get(principal);
    const ahead = this.#ahead(({ context }) => context.principal === principal);
    this.#compare(`the principal ${principal}`, held, ahead, demand, principal);
  }

  /** The same of the process alone: for what its principal has already. */
  checkProcess({ pid, holds, budgets }: Owner, demand: Demand): void {
    const ahead = this.#ahead((reservation) => reservation.pid === pid);
    this.#compare("this process", holds, ahead, demand);
    for (const budget of budgets) this.#checkBudget(budget, demand);
  }

  /** What the process, or one that it came from, was given for all that it spawns. */
  #checkBudget(budget: Process["budgets"][number], demand: Demand): void {
    const { processes } = this.#journal.state;
    const ahead = this.#ahead(({ pid }) => processes.get(pid)?.budgets.includes(budget) === true);
    for (const what of ["contexts", "tokens", "pinnedPages"] as const) {
      const quota = what === "tokens" ? "contextTokens" : what;
      const limit = budget.quota[quota];
      const more = demand[what] ?? 0;
      if (limit === undefined || more <= 0) continue;
      const used = budget.holds[what] + (ahead[what] ?? 0);
      const who = `${showId(budget.of)} and what it spawned`;
      checkQuota({ quota, limit, used, more, who, fix: FIX[what] });
    }
    const who = `${showId(budget.of)} and what it spawned`;
    const limit = budget.quota.memoryPages ?? NONE;
    checkPinned({ quota: "memoryPages", limit, who }, budget.holds, ahead, demand);
  }

  /** Checks that a context of `owner` may grow to `until` tokens, and holds the room for it. EDQUOT. */
  reserve(owner: Owner, context: Context, until: number): Disposable {
    this.check(owner, growth(context, until));
    const reservation = { context, pid: owner.pid, until };
    this.#reserved.add(reservation);
    return { [Symbol.dispose]: () => void this.#reserved.delete(reservation) };
  }

  #own(principal: string, what: keyof Holdings): number {
    const name = what === "tokens" ? "contextTokens" : what;
    return principalLimit(this.#journal.state, this.#limits, principal, name);
  }

  /** What generations under way may still add. */
  #ahead(counts: (reservation: Reservation) => boolean): Demand {
    const sum = { tokens: 0, pinnedPages: 0 };
    for (const reservation of this.#reserved) {
      if (!counts(reservation)) continue;
      const { tokens, pinnedPages } = growth(reservation.context, reservation.until);
      sum.tokens += tokens;
      sum.pinnedPages += pinnedPages;
    }
    return sum;
  }

  #compare(
    who: string,
    held: Readonly<Holdings> | undefined,
    ahead: Demand,
    demand: Demand,
    principal?: string,
  ): void {
    for (const what of ["contexts", "tokens", "pinnedPages"] as const) {
      const more = demand[what] ?? 0;
      if (more <= 0) continue;
      const quota = NAMES[what][principal === undefined ? 0 : 1];
      const used = (held?.[what] ?? 0) + (ahead[what] ?? 0);
      const limit = principal === undefined ? this.#limits[quota] : this.#own(principal, what);
      checkQuota({ quota, limit, used, more, who, fix: FIX[what] });
    }
    const quota = `memoryPagesPer${principal === undefined ? "Process" : "Principal"}` as const;
    const limit =
      principal === undefined
        ? orNone(this.#limits.memoryPagesPerProcess)
        : principalLimit(this.#journal.state, this.#limits, principal, "memoryPages");
    checkPinned({ quota, limit, who }, held, ahead, demand);
  }
}

/**
 * EDQUOT when pinned pages alone would be over a quota of pages in RAM. The others make
 * room when there is none (page-quotas.ts); these may not be evicted.
 */
function checkPinned(
  of: Pick<QuotaUse, "quota" | "limit" | "who">,
  held: Readonly<Holdings> | undefined,
  ahead: Demand,
  { pinnedPages: more = 0 }: Demand,
): void {
  if (more <= 0) return;
  const used = (held?.pinnedPages ?? 0) + (ahead.pinnedPages ?? 0);
  const fix = `pinned pages stay in memory: ${FIX.pinnedPages}`;
  checkQuota({ ...of, used, more, fix });
}

export interface QuotaUse {
  /** Its key in `limits`. */
  readonly quota: string;
  readonly limit: number;
  readonly used: number;
  readonly more: number;
  readonly who: string;
  /** What to close. */
  readonly fix: string;
}

/** EDQUOT when `more` would be over the limit. */
export function checkQuota({ quota, limit, used, more, who, fix }: QuotaUse): void {
  if (used + more <= limit) return;
  const message = `${more} more would be over the quota ${quota} of ${who}: limit ${limit}, in use ${used}; ${fix}, or raise limits.${quota}`;
  throw new ContixError("EDQUOT", message);
}

/** What a context adds when it grows to `until` tokens. */
export function growth(context: Context, until: number): Required<Omit<Holdings, "contexts">> {
  const { length } = context.tokens;
  const tokens = Math.max(0, until - length);
  const pages = pagesOf(length + tokens) - pagesOf(length);
  return { tokens, pinnedPages: context.pinned ? pages : 0 };
}

/** Pages of so many tokens, the last one perhaps not full. */
export function pagesOf(tokens: number): number {
  return Math.ceil(tokens / PAGE_TOKENS);
}

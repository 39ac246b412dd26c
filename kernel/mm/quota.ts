/**
 * Quotas of contexts: how many, how many tokens, how many pinned pages; of a
 * process and of its principal. What is held is summed by the fold; tokens that were
 * moved out count on, for the kernel keeps them as it keeps the others. A generation
 * reserves what it may write before it begins, so that it never stops for a quota
 * half-way: how much it writes would depend on its neighbours.
 *
 * A context counts for its owner, whoever works with it by a handle that was lent to him.
 *
 * Pinned pages have a bound besides, that nobody has to himself: of a model's pages in RAM
 * half at most. With all of them pinned nothing could be kept for anybody else.
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
  tokens: "close or truncate a context, forget what was moved out, or pass a smaller max_tokens",
  pinnedPages: "unpin or truncate a context",
};

const NAMES: Record<keyof Holdings, readonly [process: keyof Limits, principal: keyof Limits]> = {
  contexts: ["contextsPerProcess", "contextsPerPrincipal"],
  tokens: ["contextTokensPerProcess", "contextTokensPerPrincipal"],
  pinnedPages: ["pinnedPagesPerProcess", "pinnedPagesPerPrincipal"],
};

interface Reservation {
  readonly context: Context;
  /** The length that the context may come to. */
  readonly until: number;
}

/** Of a model's pages in RAM, what may be pinned. */
const PINNED = 1 / 2;

export class Quotas {
  readonly #limits: Limits;
  readonly #journal: Journal;
  readonly #framesOf: (model: string) => number;
  readonly #reserved = new Set<Reservation>();

  /** `framesOf`: how many pages of a model have room in RAM; 0: none are kept, or nobody knows yet. */
  constructor(limits: Limits, journal: Journal, framesOf: (model: string) => number = () => 0) {
    this.#limits = limits;
    this.#journal = journal;
    this.#framesOf = framesOf;
  }

  /** EDQUOT, with the quota's name, its limit and its use, when `owner` may not add `demand`. */
  check(owner: Owner, demand: Demand): void {
    this.checkProcess(owner, demand);
    this.#checkPrincipal(owner.principal, demand);
  }

  /** The same of the process alone: for what its principal has already. */
  checkProcess({ pid, holds, budgets }: Owner, demand: Demand): void {
    const ahead = this.#ahead(({ context }) => context.owner === pid);
    this.#compare(`the process ${showId(pid)}`, holds, ahead, demand);
    for (const budget of budgets) this.#checkBudget(budget, demand);
  }

  /** EDQUOT when whom the context counts for may not have `demand` more in it. */
  checkContext({ owner, principal, model }: Context, demand: Demand): void {
    const process = this.#journal.state.processes.get(owner);
    // One that is kept has no process.
    if (process) this.checkProcess(process, demand);
    this.#checkPrincipal(principal, demand);
    this.#checkFrames(model, demand.pinnedPages ?? 0);
  }

  #checkFrames(model: string, more: number): void {
    const frames = this.#framesOf(model);
    if (more === 0 || frames === 0) return;
    const limit = Math.floor(frames * PINNED);
    let used = this.#ahead(({ context }) => context.model === model).pinnedPages ?? 0;
    for (const context of this.#journal.state.contexts.values()) {
      if (context.model === model) used += weightOf(context).pinnedPages;
    }
    if (limit >= used + more) return;
    const message = `${more} more pinned pages would be over half of the ${frames} pages that ${model} has room for in RAM: limit ${limit}, in use ${used}, of all who use it; ${FIX.pinnedPages}, or raise pageMemory`;
    throw new ContixError("EDQUOT", message);
  }

  #checkPrincipal(principal: string, demand: Demand): void {
    const held = this.#journal.state.holdings.get(principal);
    const ahead = this.#ahead(({ context }) => context.principal === principal);
    this.#compare(`the principal ${principal}`, held, ahead, demand, principal);
  }

  /** What the process, or one that it came from, was given for all that it spawns. */
  #checkBudget(budget: Process["budgets"][number], demand: Demand): void {
    const { processes } = this.#journal.state;
    const ahead = this.#ahead(
      ({ context }) => processes.get(context.owner)?.budgets.includes(budget) === true,
    );
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

  /**
   * Checks that a context may grow to `until` tokens, with so many more of it filed, and
   * holds the room for it. EDQUOT.
   */
  reserve(context: Context, until: number, filed = 0): Disposable {
    this.checkContext(context, growth(context, until, filed));
    const reservation = { context, until };
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

/** What a context adds when it grows to `until` tokens, and so many more of it are filed. */
export function growth(
  { tokens: { length }, pinned }: Pick<Context, "tokens" | "pinned">,
  until: number,
  filed = 0,
): Required<Omit<Holdings, "contexts">> {
  const tokens = Math.max(0, until - length + filed);
  const pages = Math.max(0, pagesOf(until) - pagesOf(length));
  return { tokens, pinnedPages: pinned ? pages : 0 };
}

/** What a context counts for. */
export function weightOf({
  tokens: { length },
  pinned,
  paging,
}: Pick<Context, "tokens" | "pinned" | "paging">): Required<Omit<Holdings, "contexts">> {
  const pages = pinned ? pagesOf(length) : 0;
  return { tokens: length + paging.filedTokens, pinnedPages: pages };
}

/** Pages of so many tokens, the last one perhaps not full. */
export function pagesOf(tokens: number): number {
  return Math.ceil(tokens / PAGE_TOKENS);
}

/**
 * Rates and quotas: may this principal, and this process, make this call now?
 *
 * Requests a second are paid before a call begins. Tokens a second are paid as they come:
 * given ones when a context takes them, generated ones as they are generated; a call that
 * would add tokens is let in while its buckets owe nothing, and then is not held up for
 * them: how much it writes would depend on its neighbours (law 2). What it took too much
 * the next calls wait for, by EAGAIN with the exact time. Tokens of which the KV is
 * computed again are nobody's doing, and free. Tokens in all are a budget: a generation
 * sets aside what it may write before it begins (EDQUOT), as it does in the quotas of
 * contexts, and gives back what it did not.
 */
import { ContixError } from "../../../proto/errno.js";
import type { QuotaEvent, Usage } from "../../../proto/gen/contix/v1/kernel.js";
import type { Call } from "../../call.js";
import { showId } from "../../ids.js";
import type { Process } from "../../journal/journal.js";
import type { Account } from "../../proc/accounts.js";
import { type Budget, heldOf, type Needs, type Purse, QuotaBooks, type Who } from "./books.js";
import { capacity } from "./bucket.js";
import { Faults } from "./faults.js";
import { Pressure } from "./pressure.js";
import {
  COUNTED,
  isOfCache,
  type Limits,
  NONE,
  orNone,
  PROCESS_QUOTAS,
  type QuotaName,
} from "./quota.js";

const FULL_RETRY_US = 100_000;

/** Calls that add tokens. */
const TOKEN_CALLS: ReadonlySet<string> = new Set([
  "llm.generate",
  "ctx.append",
  "ctx.recall",
  "ctx.restore",
]);

const NO_NAMES: readonly (typeof COUNTED)[number][] = [];
const NOTHING_LEFT: readonly { quota: string; left: bigint }[] = [];

/** What is in use of a limit. */
export interface LimitUse {
  readonly quota: QuotaName;
  readonly of: "process" | "principal";
  /** Infinity: none. */
  readonly limit: number;
  readonly used: number;
}

/** Room for tokens that may come. */
export interface Reservation extends Disposable {
  /** So many have come. */
  charge(tokens: number): void;
}

export class Rates {
  readonly faults: Faults;
  readonly #books: QuotaBooks;
  readonly #pressure = new Pressure();

  constructor(needs: Needs) {
    this.#books = new QuotaBooks(needs);
    this.faults = new Faults(this.#books);
  }

  /** Called once for each call whose rights were found good. EAGAIN with a time. */
  admit({ process, row }: Call): void {
    const now = this.#books.now;
    const { principal, pid } = process;
    const purse = this.#books.purse(principal);
    const account = this.#books.account(pid);
    this.#checkInFlight(process, purse);
    const levels = this.#books.rates(process, purse, account);
    for (const { quota, of, bucket, rate } of levels) {
      // Tokens are not known before: it is enough to owe none.
      if (quota === "tokensPerSecond" && !TOKEN_CALLS.has(row.name)) continue;
      const wait = bucket.waitUs(now, rate, 1);
      if (wait === 0) continue;
      const whose = of === "process" ? "this process" : `the principal ${principal}`;
      const message = `over the quota ${quota} of ${whose}: limit ${rate}`;
      throw new ContixError("EAGAIN", message, { retryAfterUs: wait });
    }
    for (const { quota, bucket, rate } of levels) {
      if (quota === "requestsPerSecond") bucket.charge(now, rate, 1);
    }
    this.#inFlight(process, purse, 1);
  }

  /** A call that was admitted is over, at this cost. The result is the usage that the caller is told. */
  settle({ process }: Pick<Call, "process">, usage: Usage): Usage {
    const purse = this.#books.purse(process.principal);
    this.#inFlight(process, purse, -1);
    const left = this.#left(process, purse);
    return left.length === 0 ? usage : { ...usage, left: [...left] };
  }

  /** Sets aside the tokens that a call may add. EDQUOT when there are not so many left. */
  reserve(who: Who, tokens: number): Reservation {
    const purse = this.#books.purse(who.principal);
    const account = this.#books.account(who.pid);
    this.#checkBudget(who, purse, account, tokens);
    let left = tokens;
    const give = (n: number): void => {
      const back = Math.min(n, left);
      left -= back;
      hold(-back);
    };
    const hold = (n: number): void => {
      purse.reserved += n;
      account.reserved += n;
      for (const budget of who.budgets) this.#books.till(budget).reserved += n;
    };
    hold(tokens);
    return {
      charge: (n) => {
        give(n);
        this.#charge(who, purse, account, n);
      },
      [Symbol.dispose]: () => give(left),
    };
  }

  /** Adds tokens at once. EDQUOT. */
  spend(who: Who, tokens: number): void {
    using room = this.reserve(who, tokens);
    room.charge(tokens);
  }

  /**
   * A process more for the principal, and its parent's budgets? EAGAIN, as processes end.
   * `reserve`: places beyond the principal's.
   */
  checkProcesses(principal: string, budgets: readonly Budget[] = [], reserve = 0): void {
    for (const { of, quota, processes } of budgets) {
      if (processes < (quota.processes ?? NONE)) continue;
      const message = `${processes} processes are alive or not waited for on the quota processes that ${showId(of)} was given, the limit`;
      throw new ContixError("EAGAIN", message, { retryAfterUs: 10 * FULL_RETRY_US });
    }
    const limit = this.#books.limit(principal, "processes");
    const held = this.#books.processes(principal);
    if (held < limit + reserve) return;
    const message = `${held} processes of the principal ${principal} are alive or not waited for, the limit (quota processes)`;
    throw new ContixError("EAGAIN", message, { retryAfterUs: 10 * FULL_RETRY_US });
  }

  /**
   * What of a quota is left for a child of the process; of a rate the rate itself, and of a
   * cache the limit, since what is in it makes room. Infinity: no limit.
   */
  remaining({ principal, budgets }: Who, name: QuotaName): number {
    const left = (limit: number, used: number): number =>
      isOfCache(name) ? limit : Math.max(0, limit - used);
    // The calls that are in flight now are over when the child makes its own.
    const passes = name === "concurrentCalls";
    const own = budgets.map((budget) => {
      return left(budget.quota[name] ?? NONE, passes ? 0 : this.#books.usedOf(budget, name));
    });
    const used = passes ? 0 : this.#books.used(principal, name);
    return Math.min(left(this.#books.limit(principal, name), used), ...own);
  }

  /** The quotas of the process and its principal that its work newly brought past their mark. */
  pressing(process: Process): QuotaEvent[] {
    const { principal, budgets, holds } = process;
    const { limits } = this.#books;
    const of = (whose: LimitUse["of"], limit: (name: QuotaName) => number, used: Use) =>
      USED_UP.map((quota) => ({ quota, of: whose, limit: limit(quota), used: used(quota) }));
    const account = this.#books.account(process.pid);
    const own = account.tokensIn + account.tokensOut + account.reserved;
    return this.#pressure.note(process, [
      ...budgets.flatMap((budget) => {
        const limit = (name: QuotaName) => budget.quota[name] ?? NONE;
        return of("process", limit, (name) => this.#books.usedOf(budget, name));
      }),
      ...of(
        "process",
        (name) => perProcess(limits, name),
        (name) => (name === "tokens" ? own : heldOf(holds, name)),
      ),
      ...of(
        "principal",
        (name) => this.#books.limit(principal, name),
        (name) => this.#books.used(principal, name),
      ),
    ]);
  }

  /** The process is over. */
  forget(pid: bigint): void {
    this.#pressure.forget(pid);
  }

  /** What the process and its principal may have, and have. */
  report(process: Process): LimitUse[] {
    const { principal, holds } = process;
    const { limits, now } = this.#books;
    const purse = this.#books.purse(principal);
    const account = this.#books.account(process.pid);
    const held = this.#books.held(principal);
    const own = account.tokensIn + account.tokensOut + account.reserved;
    const rates = this.#books.rates(process, purse, account).map(({ quota, of, bucket, rate }) => ({
      ...{ quota, of, limit: rate },
      used: Number.isFinite(rate) ? capacity(rate) - bucket.level(now, rate) : 0,
    }));
    const per = (quota: QuotaName, limit: number, used: number): LimitUse => {
      return { quota, of: "process", limit, used };
    };
    const whole = (quota: QuotaName, used: number): LimitUse => {
      return { quota, of: "principal", limit: this.#books.limit(principal, quota), used };
    };
    return [
      ...rates,
      ...process.budgets.flatMap((budget) => {
        return PROCESS_QUOTAS.filter((name) => !isRate(name) && name in budget.quota).map((name) =>
          per(name, budget.quota[name] ?? 0, this.#books.usedOf(budget, name)),
        );
      }),
      per("tokens", orNone(limits.tokensPerProcess), own),
      whole("tokens", this.#books.spent(principal) + purse.reserved),
      whole("faultsPerSecond", this.faults.used(principal)),
      whole("concurrentCalls", purse.inFlight),
      whole("mailboxBytes", this.#books.used(principal, "mailboxBytes")),
      whole("processes", this.#books.processes(principal)),
      per("contexts", limits.contextsPerProcess, holds.contexts),
      whole("contexts", held?.contexts ?? 0),
      per("contextTokens", limits.contextTokensPerProcess, holds.tokens),
      whole("contextTokens", held?.tokens ?? 0),
      per("pinnedPages", limits.pinnedPagesPerProcess, holds.pinnedPages),
      whole("pinnedPages", held?.pinnedPages ?? 0),
      ...(["memoryPages", "swapBytes"] as const).flatMap((name) => [
        per(name, orNone(limits[`${name}PerProcess` as const]), this.#books.pagesOf(process, name)),
        whole(name, this.#books.used(principal, name)),
      ]),
    ];
  }

  /** EAGAIN: as many calls are in flight as may be. */
  #checkInFlight({ principal, budgets }: Who, purse: Purse): void {
    const check = (whose: string, inFlight: number, most: number): void => {
      if (inFlight < most) return;
      const message = `${inFlight} calls of ${whose} are in flight, the limit (quota concurrentCalls)`;
      throw new ContixError("EAGAIN", message, { retryAfterUs: FULL_RETRY_US });
    };
    for (const budget of budgets) {
      const most = budget.quota.concurrentCalls ?? NONE;
      check(`${showId(budget.of)} and what it spawned`, this.#books.till(budget).inFlight, most);
    }
    const most = this.#books.limit(principal, "concurrentCalls");
    check(`the principal ${principal}`, purse.inFlight, most);
  }

  #inFlight({ budgets }: Who, purse: Purse, more: 1 | -1): void {
    purse.inFlight += more;
    for (const budget of budgets) this.#books.till(budget).inFlight += more;
  }

  #charge(who: Who, purse: Purse, account: Account, tokens: number): void {
    const now = this.#books.now;
    for (const { quota, bucket, rate } of this.#books.rates(who, purse, account)) {
      if (quota === "tokensPerSecond") bucket.charge(now, rate, tokens);
    }
  }

  #checkBudget({ principal, budgets }: Who, purse: Purse, account: Account, more: number): void {
    for (const budget of budgets) {
      const limit = budget.quota.tokens ?? NONE;
      const used = this.#books.usedOf(budget, "tokens");
      if (used + more <= limit) continue;
      throw overBudget(`${showId(budget.of)} and what it spawned`, limit, used, more);
    }
    const own = account.tokensIn + account.tokensOut + account.reserved;
    const perProcess = orNone(this.#books.limits.tokensPerProcess);
    if (own + more > perProcess) throw overBudget("this process", perProcess, own, more);
    const limit = this.#books.limit(principal, "tokens");
    const used = this.#books.spent(principal) + purse.reserved;
    if (used + more > limit) throw overBudget(`the principal ${principal}`, limit, used, more);
  }

  #left(who: Who, purse: Purse): readonly { quota: string; left: bigint }[] {
    const account = this.#books.account(who.pid);
    const rates = this.#books.rates(who, purse, account);
    const perProcess = orNone(this.#books.limits.tokensPerProcess);
    const whole = this.#books.limit(who.principal, "tokens");
    const ownQuota = this.#books.ownQuota(who.principal);
    const set = ownQuota ? COUNTED.filter((quota) => ownQuota[quota] !== undefined) : NO_NAMES;
    const bounded = perProcess !== NONE || whole !== NONE || set.length > 0;
    const unbounded = !bounded && who.budgets.length === 0;
    if (rates.length === 0 && unbounded) return NOTHING_LEFT;
    const now = this.#books.now;
    const least = new Map<string, number>();
    const note = (quota: string, left: number): void => {
      const n = Math.max(0, Math.floor(left));
      if (Number.isFinite(left)) least.set(quota, Math.min(n, least.get(quota) ?? n));
    };
    for (const { quota, bucket, rate } of rates) note(quota, bucket.level(now, rate));
    const own = account.tokensIn + account.tokensOut + account.reserved;
    note("tokens", perProcess - own);
    for (const budget of who.budgets) {
      for (const quota of ["tokens", ...COUNTED] as const) {
        const limit = budget.quota[quota];
        if (limit !== undefined) note(quota, limit - this.#books.usedOf(budget, quota));
      }
    }
    for (const quota of set) {
      note(quota, (ownQuota?.[quota] ?? NONE) - this.#books.used(who.principal, quota));
    }
    note("tokens", whole - (this.#books.spent(who.principal) + purse.reserved));
    return [...least].map(([quota, left]) => ({ quota, left: BigInt(left) }));
  }
}

type Use = (name: QuotaName) => number;

/** Quotas that work uses up. */
const USED_UP = ["tokens", "contexts", "contextTokens", "pinnedPages"] as const;

function perProcess(limits: Limits, name: QuotaName): number {
  if (name === "tokens") return orNone(limits.tokensPerProcess);
  if (name === "contexts") return limits.contextsPerProcess;
  return name === "contextTokens" ? limits.contextTokensPerProcess : limits.pinnedPagesPerProcess;
}

function isRate(name: QuotaName): boolean {
  return name === "requestsPerSecond" || name === "tokensPerSecond";
}

function overBudget(who: string, limit: number, used: number, more: number): ContixError {
  const message = `${more} more would be over the quota tokens of ${who}: limit ${limit}, used or set aside ${used}; pass a smaller max_tokens, or ask for more`;
  return new ContixError("EDQUOT", message);
}

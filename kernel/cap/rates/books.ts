/**
 * The books of quotas: what principals, and budgets given at spawn, may have, and have. What
 * outlives the daemon is in the journal's state; here is what is held besides: buckets, calls
 * in flight, tokens set aside.
 */
import type { Clock } from "../../clock.js";
import type { Journal, Process } from "../../journal/journal.js";
import type { PageQuota, PageQuotas } from "../../mm/page-quotas.js";
import type { Account, Accounts } from "../../proc/accounts.js";
import { Bucket } from "./bucket.js";
import { FAULT_SECONDS } from "./faults.js";
import {
  isOfCache,
  type Limits,
  NONE,
  orNone,
  principalLimit,
  type Quota,
  type QuotaName,
} from "./quota.js";

export type Who = Pick<Process, "pid" | "principal" | "budgets">;
export type Budget = Process["budgets"][number];

/** What is held of a principal that calls, or of a budget. Its tokens in all are in the journal's state. */
export interface Purse {
  readonly requests: Bucket;
  readonly tokens: Bucket;
  readonly faults: Bucket;
  inFlight: number;
  /** Tokens set aside. */
  reserved: number;
  /** Since it sent more faults than it may; see `Faults`. */
  episode: Episode | undefined;
}

/** A principal sends more faults than it may, until its bucket is full again. */
export interface Episode {
  /** That it was refused for it is on record. */
  recorded: boolean;
}

/** A bucket and its rate. */
export interface Rate {
  readonly quota: "requestsPerSecond" | "tokensPerSecond";
  readonly of: "process" | "principal";
  readonly bucket: Bucket;
  readonly rate: number;
}

export interface Needs {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly accounts: Accounts;
  readonly config: { readonly limits: Limits };
  /** What is held of the page pools. */
  readonly pages: Pick<PageQuotas, "ofPrincipal" | "ofProcess" | "ofBudget">;
}

/** Principals remembered before those that are idle are forgotten. */
const PURSES = 1024;
const NO_RATES: readonly Rate[] = [];

export class QuotaBooks {
  readonly #with: Needs;
  readonly #purses = new Map<string, Purse>();
  readonly #tills = new WeakMap<Budget, Purse>();
  #most = PURSES;

  constructor(needs: Needs) {
    this.#with = needs;
  }

  get limits(): Limits {
    return this.#with.config.limits;
  }
  get now(): number {
    return this.#with.clock.now();
  }
  account(pid: bigint): Account {
    return this.#with.accounts.of(pid);
  }

  purse(principal: string): Purse {
    let purse = this.#purses.get(principal);
    if (!purse) {
      if (this.#purses.size >= this.#most) this.#forgetIdle();
      purse = emptyPurse();
      this.#purses.set(principal, purse);
    }
    return purse;
  }

  /** A purse that is full, of a principal that does nothing, is as good as none. */
  #forgetIdle(): void {
    const now = this.#with.clock.now();
    for (const [principal, { requests, tokens, faults, inFlight, reserved }] of this.#purses) {
      const full =
        requests.isFull(now, this.limit(principal, "requestsPerSecond")) &&
        tokens.isFull(now, this.limit(principal, "tokensPerSecond")) &&
        faults.isFull(now, this.limit(principal, "faultsPerSecond"));
      if (full && inFlight === 0 && reserved === 0) this.#purses.delete(principal);
    }
    // Those that are at work stay; they are not looked through again for each that comes.
    this.#most = Math.max(PURSES, 2 * this.#purses.size);
  }

  till(budget: Budget): Purse {
    let till = this.#tills.get(budget);
    if (!till) {
      till = emptyPurse();
      this.#tills.set(budget, till);
    }
    return till;
  }

  /** The buckets that have a rate. */
  rates({ principal, budgets }: Who, purse: Purse, account: Account): readonly Rate[] {
    const { requestsPerSecondPerProcess, tokensPerSecondPerProcess } = this.limits;
    const requests = this.limit(principal, "requestsPerSecond");
    const tokens = this.limit(principal, "tokensPerSecond");
    // Each call comes by here twice, and most kernels set no rates.
    const none = requestsPerSecondPerProcess === 0 && tokensPerSecondPerProcess === 0;
    const ownNone = none && budgets.length === 0;
    if (ownNone && requests === NONE && tokens === NONE) return NO_RATES;
    const out: Rate[] = [];
    const add = (quota: Rate["quota"], of: Rate["of"], bucket: Bucket, rate: number): void => {
      if (Number.isFinite(rate)) out.push({ quota, of, bucket, rate });
    };
    add("requestsPerSecond", "process", account.requests, orNone(requestsPerSecondPerProcess));
    add("requestsPerSecond", "principal", purse.requests, requests);
    add("tokensPerSecond", "process", account.tokens, orNone(tokensPerSecondPerProcess));
    for (const budget of budgets) {
      const till = this.till(budget);
      add("requestsPerSecond", "process", till.requests, budget.quota.requestsPerSecond ?? NONE);
      add("tokensPerSecond", "process", till.tokens, budget.quota.tokensPerSecond ?? NONE);
    }
    add("tokensPerSecond", "principal", purse.tokens, tokens);
    return out;
  }

  /** Rates are not used up. */
  usedOf(budget: Budget, name: QuotaName): number {
    const { spent, processes, mailBytes, holds } = budget;
    if (name === "tokens") return spent + this.till(budget).reserved;
    if (name === "processes") return processes;
    if (name === "concurrentCalls") return this.till(budget).inFlight;
    if (name === "mailboxBytes") return mailBytes;
    if (isOfCache(name)) return this.#with.pages.ofBudget(budget, name);
    return heldOf(holds, name);
  }

  used(principal: string, name: QuotaName): number {
    if (name === "tokens") return this.spent(principal) + this.purse(principal).reserved;
    if (name === "processes") return this.processes(principal);
    if (name === "concurrentCalls") return this.purse(principal).inFlight;
    if (name === "mailboxBytes") return this.#with.journal.state.ipc.bytes.get(principal) ?? 0;
    if (isOfCache(name)) return this.#with.pages.ofPrincipal(principal, name);
    return heldOf(this.held(principal), name);
  }

  /** Pages, or bytes of them, of one process. */
  pagesOf(process: Pick<Process, "principal" | "pid">, name: PageQuota): number {
    return this.#with.pages.ofProcess(process, name);
  }

  held(principal: string): Process["holds"] | undefined {
    return this.#with.journal.state.holdings.get(principal);
  }

  /** Infinity: none. */
  limit(principal: string, name: QuotaName): number {
    const { journal, config } = this.#with;
    return principalLimit(journal.state, config.limits, principal, name);
  }

  spent(principal: string): number {
    return this.#with.journal.state.spent.get(principal) ?? 0;
  }

  processes(principal: string): number {
    return this.#with.journal.state.places.get(principal) ?? 0;
  }

  /** What the principal's own record sets. */
  ownQuota(principal: string): Quota | undefined {
    return this.#with.journal.state.principals.get(principal)?.quota;
  }
}

function emptyPurse(): Purse {
  const buckets = {
    requests: new Bucket(),
    tokens: new Bucket(),
    faults: new Bucket(FAULT_SECONDS),
  };
  return { ...buckets, inFlight: 0, reserved: 0, episode: undefined };
}

export function heldOf(held: Process["holds"] | undefined, name: QuotaName): number {
  if (name === "contexts") return held?.contexts ?? 0;
  if (name === "contextTokens") return held?.tokens ?? 0;
  return name === "pinnedPages" ? (held?.pinnedPages ?? 0) : 0;
}

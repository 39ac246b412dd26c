/**
 * Hard quotas of pages: how many one may have in RAM (`memoryPages`), and how many bytes in
 * the swap files (`swapBytes`), of all models together; of a process, of its principal, and
 * of a process with all that it spawned. There are none unless somebody sets them.
 *
 * Pages are a cache, so what would be over a quota is not refused: a page of the same holder
 * goes, the one that the eviction policy ranks least, whoever has room besides (the shares
 * of tier.ts, in contrast, bind only when there is none). Only what may not be evicted can
 * be over it: pinned pages, which quota.ts refuses with EDQUOT before they are.
 */
import { type Limits, orNone, principalLimit } from "../cap/rates/quota.js";
import type { Journal, Process } from "../journal/journal.js";
import type { Whose } from "./eviction/policy.js";
import type { Payer } from "./page.js";
import type { PagePool } from "./pool.js";

/** The quotas, by the tier that they are of. */
export const PAGE_QUOTAS = { frames: "memoryPages", blocks: "swapBytes" } as const;
type TierName = keyof typeof PAGE_QUOTAS;
export type PageQuota = (typeof PAGE_QUOTAS)[TierName];

type Pool = Pick<PagePool, "frames" | "blocks" | "pageBytes" | "evictOf">;
type Budget = Process["budgets"][number];

interface Cap {
  /** Pages, or bytes. */
  readonly limit: number;
  /** Whose pages it counts. */
  readonly of: readonly Whose[];
}

export class PageQuotas {
  readonly #limits: Limits;
  readonly #journal: Journal;
  readonly #pools: Pool[] = [];

  constructor(limits: Limits, journal: Journal) {
    this.#limits = limits;
    this.#journal = journal;
  }

  /** Another model's pages count from now on. */
  add(pool: Pool): void {
    this.#pools.push(pool);
  }

  /**
   * Makes room for a page of `pageBytes` bytes within all quotas of `payer`, at the cost of
   * his own. False when he has nothing there that may go.
   */
  makeRoom(tier: TierName, payer: Payer, pageBytes: number, now: number): boolean {
    const more = tier === "frames" ? 1 : pageBytes;
    for (const { limit, of } of this.#caps(PAGE_QUOTAS[tier], payer)) {
      while (this.#held(tier, of) + more > limit) {
        if (!this.#evictOne(tier, of, now)) return false;
      }
    }
    return true;
  }

  ofPrincipal(principal: string, quota: PageQuota): number {
    return this.#held(tierOf(quota), [{ principal }]);
  }

  ofProcess({ principal, pid }: Pick<Process, "principal" | "pid">, quota: PageQuota): number {
    return this.#held(tierOf(quota), [{ principal, process: pid }]);
  }

  /** What a process, and all that it spawned, has of what it was given. */
  ofBudget(budget: Budget, quota: PageQuota): number {
    return this.#held(tierOf(quota), this.#family(budget));
  }

  #caps(quota: PageQuota, { principal, process }: Payer): Cap[] {
    const { state } = this.#journal;
    const caps: Cap[] = [];
    const add = (limit: number, of: () => readonly Whose[]): void => {
      if (Number.isFinite(limit)) caps.push({ limit, of: of() });
    };
    add(principalLimit(state, this.#limits, principal, quota), () => [{ principal }]);
    if (process === 0n) return caps;
    add(orNone(this.#limits[`${quota}PerProcess` as const]), () => [{ principal, process }]);
    for (const budget of state.processes.get(process)?.budgets ?? []) {
      add(budget.quota[quota] ?? Number.POSITIVE_INFINITY, () => this.#family(budget));
    }
    return caps;
  }

  #family(budget: Budget): Whose[] {
    return [...this.#journal.state.processes.values()]
      .filter(({ budgets }) => budgets.includes(budget))
      .map(({ principal, pid }) => ({ principal, process: pid }));
  }

  #held(tier: TierName, of: readonly Whose[]): number {
    let held = 0;
    for (const pool of this.#pools) {
      const unit = tier === "frames" ? 1 : pool.pageBytes;
      for (const whose of of) held += unit * pagesOf(pool, tier, whose);
    }
    return held;
  }

  /** Where he has most, what is ranked least. */
  #evictOne(tier: TierName, of: readonly Whose[], now: number): boolean {
    const held = this.#pools.flatMap((pool) =>
      of.map((whose) => ({ pool, whose, pages: pagesOf(pool, tier, whose) })),
    );
    return held
      .filter(({ pages }) => pages > 0)
      .sort((a, b) => b.pages - a.pages)
      .some(({ pool, whose }) => pool.evictOf(tier, whose, now));
  }
}

function tierOf(quota: PageQuota): TierName {
  return quota === "memoryPages" ? "frames" : "blocks";
}

function pagesOf(pool: Pool, tier: TierName, { principal, process }: Whose): number {
  const of = pool[tier];
  return process === undefined ? of.heldBy(principal) : of.heldByProcess(process);
}

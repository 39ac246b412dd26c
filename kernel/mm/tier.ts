/**
 * One tier of pages: the frames of the driver's RAM, or the blocks of its swap file. It
 * gives places to pages, and asks its policy whose place to take when none is free.
 */
import type { EvictionPolicy } from "./eviction/policy.js";
import { Places } from "./frames.js";
import type { PoolPage } from "./pool-page.js";

export class Tier {
  readonly pages = new Set<PoolPage>();
  readonly policy: EvictionPolicy;
  evicted = 0;
  readonly #places: Places;
  readonly #evict: (page: PoolPage) => void;

  /** `evict` takes a page's place away, by way of `left` and `release`. */
  constructor(count: number, policy: EvictionPolicy, evict: (page: PoolPage) => void) {
    this.#places = new Places(count);
    this.policy = policy;
    this.#evict = evict;
  }

  get count(): number {
    return this.#places.count;
  }
  get free(): number {
    return this.#places.free;
  }
  isFree(place: number): boolean {
    return this.#places.isFree(place);
  }

  /** A place, `wanted` if it can be; -1 when there is none and none can be made. */
  take(wanted: number, now: number): number {
    if (this.#places.free === 0) {
      const victim = this.#places.count > 0 ? this.policy.victim(now) : undefined;
      if (!victim) return -1;
      this.evicted++;
      this.#evict(victim as PoolPage);
    }
    return this.#places.take(wanted);
  }

  entered(page: PoolPage, cid: bigint, now: number): void {
    this.pages.add(page);
    page.lastUsed = now;
    this.policy.added(page, cid, now);
  }

  used(page: PoolPage, cid: bigint, now: number): void {
    page.lastUsed = now;
    this.policy.used(page, cid, now);
  }

  /** The page is out of the tier. Its place is given back apart: something may still move there. */
  left(page: PoolPage): void {
    this.pages.delete(page);
    this.policy.removed(page);
  }

  release(place: number): void {
    this.#places.release(place);
  }
}

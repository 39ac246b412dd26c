/**
 * One tier of pages: the frames of the driver's RAM, or the blocks of its swap file. It
 * gives places to pages, and asks its policy whose place to take when none is free.
 */
import type { EvictionPolicy, EvictionPorts, Whose } from "./eviction/policy.js";
import { Places } from "./frames.js";
import type { Page, Payer } from "./page.js";
import type { PoolPage } from "./pool-page.js";
import { Shares } from "./shares.js";

/** Of all places, what a principal and a process may have before they give way to others; 0 to 1. */
export interface Portions {
  readonly principal: number;
  readonly process: number;
}

export interface TierOptions {
  readonly count: number;
  readonly eviction: (ports: EvictionPorts) => EvictionPolicy;
  readonly ports: EvictionPorts;
  readonly portions: Portions;
  /** Makes room within the quotas of whom the page is for; false: he may have no more. */
  readonly mayEnter?: (payer: Payer, now: number) => boolean;
  /** Takes a page's place away, by way of `left` and `release`. */
  readonly evict: (page: PoolPage) => void;
}

export class Tier {
  /** By place. */
  readonly #pages: (PoolPage | undefined)[];
  readonly policy: EvictionPolicy;
  evicted = 0;
  readonly #places: Places;
  readonly #evict: (page: PoolPage) => void;
  readonly #mayEnter: (payer: Payer, now: number) => boolean;

  /** Who has more than his share gives way: principals before their processes. */
  readonly #principals: Shares<string>;
  readonly #processes: Shares<bigint | string>;

  constructor({ count, eviction, ports, portions, evict, mayEnter }: TierOptions) {
    this.#places = new Places(count);
    this.#pages = new Array(count).fill(undefined);
    this.policy = eviction(ports);
    this.#evict = evict;
    this.#mayEnter = mayEnter ?? (() => true);
    const limit = (part: number): number => (part < 1 ? part * count : Number.POSITIVE_INFINITY);
    const { principal, process } = portions;
    this.#principals = Shares.ofPrincipals(limit(principal));
    this.#processes = Shares.ofProcesses(limit(process));
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

  /** A place for a page, `wanted` if it can be; -1 when there is none and none can be made. */
  take(page: PoolPage, wanted: number, now: number): number {
    if (this.#places.count === 0 || !this.#mayEnter(page.payer, now)) return -1;
    if (this.#places.free === 0 && !this.#giveUp(this.#victim(page, now))) return -1;
    return this.#places.take(wanted);
  }

  /** One of somebody's pages goes. False when he has none that may. */
  evictOf(whose: Whose, now: number): boolean {
    return this.#giveUp(this.#victimOf(whose, now) as PoolPage | undefined);
  }

  #giveUp(victim: PoolPage | undefined): boolean {
    if (!victim) return false;
    this.evicted++;
    this.#evict(victim);
    return true;
  }

  /** The page that has the place. */
  at(place: number): PoolPage | undefined {
    return this.#pages[place];
  }

  /** All that have a place. */
  get pages(): PoolPage[] {
    return this.#pages.filter((page) => page !== undefined);
  }

  entered(page: PoolPage, place: number, cid: bigint, now: number): void {
    this.#pages[place] = page;
    page.lastUsed = now;
    this.policy.added(page, cid, now);
    this.#principals.added(page.payer);
    this.#processes.added(page.payer);
  }

  used(page: PoolPage, cid: bigint, now: number): void {
    page.lastUsed = now;
    this.policy.used(page, cid, now);
  }

  /** The page is out of the tier. Its place is given back apart: something may still move there. */
  left(page: PoolPage, place: number): void {
    this.#pages[place] = undefined;
    this.policy.removed(page);
    this.#principals.removed(page.payer);
    this.#processes.removed(page.payer);
  }

  release(place: number): void {
    this.#places.release(place);
  }

  /** Places of one principal. */
  heldBy(principal: string): number {
    return this.#principals.pagesOf(principal);
  }

  /** Places of pages that were made for one process. */
  heldByProcess(pid: bigint): number {
    return this.#processes.pagesOf(pid);
  }

  #victim(page: PoolPage, now: number): PoolPage | undefined {
    const victim =
      this.#victimOf(this.#principals.over(page.payer), now) ??
      this.#victimOf(this.#processes.over(page.payer), now) ??
      this.policy.victim(now);
    return victim as PoolPage | undefined;
  }

  #victimOf(whose: Whose | undefined, now: number): Page | undefined {
    return whose && this.policy.victim(now, whose);
  }
}

/**
 * What an eviction policy is: it ranks the pages that lie in one tier (RAM, or the swap
 * file), and says which to let go when room is needed. It decides by what it is told,
 * and moves nothing. One instance serves one tier. A policy is pure: the same calls give
 * the same victims, in the simulator and in production.
 *
 * Pages form trees (parent before child), and a page is of use only with all before it.
 * So whoever asks for a victim takes leaves first: `victim` must name a page that has no
 * child in the tier. `free` says which those are.
 */
import type { Page } from "../page.js";

/** What the holders of a page are doing: what lets a policy guess when it is wanted again. */
export interface Waiting {
  /** Contexts with this page that are in a call of the model now or wait for a slot. */
  readonly active: number;
  /** When the soonest of the others is expected back, microseconds; undefined: nobody holds it. */
  readonly expectedBack: number | undefined;
}

export interface EvictionPorts {
  /** What it costs to compute the page again, microseconds (its depth counts: attention). */
  rebuildUs(page: Page): number;
  /** What it costs to bring it back from the tier below this one; Infinity: there is none. */
  fetchUs(page: Page): number;
  /** Of the processes that hold it. */
  waiting(page: Page, now: number): Waiting;
  /** Bytes of the page in this tier. */
  bytes(page: Page): number;
  /** Whether it may go now: no child in the tier, not pinned. */
  free(page: Page): boolean;
}

export interface EvictionPolicy {
  readonly name: string;
  /** The page came into the tier. */
  added(page: Page, now: number): void;
  /** The page was used: read, or found by a context. */
  used(page: Page, now: number): void;
  /** The page left the tier, by whatever way. */
  removed(page: Page): void;
  /** The page to let go first among the free ones; undefined: none is free. */
  victim(now: number): Page | undefined;
}

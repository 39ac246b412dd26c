/**
 * What an eviction policy is: it ranks the pages that lie in one tier (RAM, or the swap
 * file), and says which to let go when room is needed. It decides by what it is told,
 * and moves nothing. One instance serves one tier. A policy is pure: the same calls give
 * the same victims, in the simulator and in production.
 *
 * Pages form trees (parent before child), and a page is of use only with all before it.
 * So leaves go first: a victim never has a child in the tier. The policy keeps count of
 * that itself, from `added` and `removed`; a page may come into a tier without its parent.
 *
 * What happens to a context is told once to the instance of each tier, in this order:
 * `runs`, then `used` for each page that was found in this tier, from the first page of
 * the context on, then `added` for each new page, in order; `waits` when its burst has
 * ended, and again when it is known that it waits for something else; `closed` when it is
 * gone, and then nothing more. Pages are the tier's, not the context's: they stay
 * when their context is closed, and whoever has the same history finds them again.
 */
import type { Page } from "../page.js";
import type { NodeField } from "./tree.js";

/** What the process of a context waits for between two bursts. */
export interface Wait {
  /** What is learned together: "tool", "timer", "message", "reply", … A small set. */
  readonly kind: string;
  /** When it will be back, where that is known (a timer), microseconds of the kernel's clock. */
  readonly until?: number;
}

/** What a process does after a burst, as far as anybody knows: something of its own. */
export const NEXT_CALL: Wait = { kind: "call" };

/** For whom a page comes into a tier whose context was closed meanwhile. */
export const NOBODY = 0n;

/** What a policy asks about a page. All are cheap, and none changes anything. */
export interface EvictionPorts {
  /** What it costs to compute the page again, microseconds (its depth counts: attention). */
  rebuildUs(page: Page): number;
  /** What it costs to bring it back from the tier below this one; Infinity: it can not be there. */
  fetchUs(page: Page): number;
  /** Bytes of the page in this tier. */
  bytes(page: Page): number;
  /** It may not go now: copies or reads of it are under way, or somebody pinned it. */
  pinned(page: Page): boolean;
  /** Which field of a page is this tier's. */
  readonly node: NodeField;
}

/** Of whose pages one is to go: a principal's, or those of one of his processes. */
export interface Whose {
  readonly principal: string;
  readonly process?: bigint;
}

export interface EvictionPolicy {
  readonly name: string;
  /** The page came into the tier, for the context `cid`, or for NOBODY. */
  added(page: Page, cid: bigint, now: number): void;
  /** The context `cid` found the page in the tier. */
  used(page: Page, cid: bigint, now: number): void;
  /** The page left the tier, by whatever way, its own victims included. */
  removed(page: Page): void;
  /** A burst of the context begins: what it waited for is over. */
  runs(cid: bigint, now: number): void;
  /** A burst of the context has ended, and its process waits; or it turns to another wait. */
  waits(cid: bigint, wait: Wait, now: number): void;
  /** The context is gone. */
  closed(cid: bigint, now: number): void;
  /** Of all pages, or of somebody's, the one to let go first: a leaf that is not pinned; undefined: there is none. */
  victim(now: number, whose?: Whose): Page | undefined;
}

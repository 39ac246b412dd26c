/**
 * The policy interface: who holds the slots.
 *
 * A decision must cost the same with ten bursts that wait and with a hundred thousand. So a
 * policy never looks at all of them. It gives each a place when it begins to wait, and the
 * place stays what it is while it waits; the run queue (run-queue.ts) keeps them sorted.
 * Waiting counts all the same: a key may hold the time since when a burst waits, and a place
 * may have a time from which it goes before others. What changes when another is served (the
 * counter of a principal, say) is the key of an account: all of an account move together.
 *
 * Bursts that hold a slot are few. Of each the Scheduler asks, while others wait, whether it
 * gives way; classes, and what a switch costs, it weighs itself (scheduler.ts).
 *
 * A policy may keep books of what was served. It hears of that, and of nothing else: no
 * clock, no chance. The same calls give the same answers, in the simulator and in
 * production. One instance serves one scheduler.
 */
import type { Burst } from "./burst.js";

export type BurstView = Readonly<Burst>;

/** Where the run queue has bursts of an account; it hears of a new key. */
export interface Standing {
  move(key: number): void;
}

/**
 * Whom a policy keeps books of: a program, a principal, a process. Each burst holds its own,
 * so that nothing is looked up between two tokens. Bursts whose places name an account
 * compete as one, by its key.
 */
export class Account {
  /** The least goes first; of equal ones who has been waiting longer. The policy's. */
  key = 0;
  /** The run queue's: where its bursts wait. */
  readonly standings: Standing[] = [];
  /** The run queue's: `key` may be another than it was there. */
  stale = false;
}

/** Where a burst stands among those of its class that wait. */
export interface Place {
  /** The least goes first, of its group; of equal ones who has waited longer. */
  readonly key: number;
  /** Missing: all are one group. */
  readonly group?: Account;
  /** From this time on it goes before all that are not due, microseconds; missing: never. */
  readonly dueAt?: number;
}

/** The first of those who wait. */
export interface Head {
  readonly burst: BurstView;
  readonly due: boolean;
}

/** What a row of an outcome did for a burst: tokens that it did not have before. */
export interface Service {
  /** Entered by prefill. */
  readonly given: number;
  readonly generated: number;
}

export interface Policy {
  readonly name: string;
  /** Tokens that a burst generates in a turn; set while it runs, its books stay. */
  quantum: number;
  /** Whether a burst may lose its slot to another before it is over. */
  readonly preemptive: boolean;
  /** The burst begins to wait, or its nice value changed while it waits. */
  place(burst: BurstView, now: number): Place;
  /** Of two that run: below 0 when `a` is the more urgent one. The last gives way first. */
  compare(a: BurstView, b: BurstView): number;
  /** Whether a running burst is to give its slot to the first that waits, of the same class. */
  yields(burst: BurstView, head: Head, now: number): boolean;

  // Books. Of a burst it hears `entered` first and `over` last, one `left` after each
  // `place`, and of one that runs `served` and then `ran`. While it hears of a burst it may
  // change the key of that one's account, and of no other.
  /** @returns in whose books it is: its `account` from now on */
  entered?(burst: BurstView, now: number): Account;
  /** It waits no more: it has got a slot (`granted`), or does not compete. It had waited so long. */
  left?(burst: BurstView, granted: boolean, waitedUs: number): void;
  /** It lost its slot, or gave it back, and had it so long. */
  ran?(burst: BurstView, servedUs: number): void;
  served?(burst: BurstView, service: Service): void;
  over?(burst: BurstView, now: number): void;
}

/** Entering a given token by prefill costs about a tenth of generating one. */
export const GIVEN_COST = 0.1;

/**
 * The cost of rebuilding a context, in tokens generated: its given tokens enter by
 * prefill, the generated ones one by one as they were made.
 */
export function rebuildCost(given: number, generated: number): number {
  return given * GIVEN_COST + generated;
}

/** What was served, in tokens generated. */
export function costOf({ given, generated }: Service): number {
  return given * GIVEN_COST + generated;
}

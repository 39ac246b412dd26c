/**
 * The policy interface: a pure function of what is runnable to who should hold
 * the slots. The simulator and the kernel run the same code.
 */
import type { BurstId } from "./burst.js";

/** A burst as a policy sees it. */
export interface Candidate {
  readonly id: BurstId;
  readonly running: boolean;
  readonly nice: number;
  /** Arrival order, rising. */
  readonly order: number;
  readonly readySince: number;
  readonly quantumUsed: number;
  readonly attained: number;
  /** What coming back would cost if it lost its slot now, in tokens generated (see rebuildCost). */
  readonly rebuildCost: number;
}

export interface PolicyInput {
  /** Microseconds. */
  readonly now: number;
  readonly slots: number;
  readonly candidates: readonly Candidate[];
}

export interface Policy {
  readonly name: string;
  /** The bursts that should hold slots, at most `slots`, the most urgent first. */
  choose(input: PolicyInput): BurstId[];
}

/** Entering a given token by prefill costs about a tenth of generating one. */
const GIVEN_COST = 0.1;

/**
 * The cost of rebuilding a context, in tokens generated: its given tokens enter by
 * prefill, the generated ones one by one as they were made.
 */
export function rebuildCost(given: number, generated: number): number {
  return given * GIVEN_COST + generated;
}

/**
 * Whether a running burst may lose its slot: it has used its quantum, and has made
 * at least half of what the switch throws away. So its turns grow with its context,
 * and no more than two thirds of the work can go into rebuilding.
 */
export function preemptible(c: Candidate, quantum: number): boolean {
  return c.quantumUsed >= Math.max(quantum, c.rebuildCost / 2);
}

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
  /** Tokens that would have to be computed again if it lost its slot now. */
  readonly rebuildTokens: number;
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

/** Recomputing a token by prefill costs about a tenth of generating one. */
const REBUILD_TOKENS_PER_QUANTUM_TOKEN = 10;

/**
 * Whether a running burst may lose its slot: it has used its quantum, and has
 * gained more than the switch throws away.
 */
export function preemptible(c: Candidate, quantum: number): boolean {
  const switchCost = c.rebuildTokens / REBUILD_TOKENS_PER_QUANTUM_TOKEN;
  return c.quantumUsed >= Math.max(quantum, switchCost);
}

/** The fold's part for scheduling: what an operator chose while the kernel ran. */
import type { State } from "./state.js";

export interface SchedState {
  /** Undefined: as configured. */
  policy: string | undefined;
  quantum: number | undefined;
  /** Shares of principals that are not 1. */
  readonly weights: Map<string, number>;
}

export interface SchedRecord {
  readonly type: "sched.set";
  readonly policy: string;
  readonly quantum: number;
  /** Those that change; 1 is what all others have. */
  readonly weights: readonly { readonly principal: string; readonly weight: number }[];
}

export function applySched({ sched }: State, { policy, quantum, weights }: SchedRecord): void {
  sched.policy = policy;
  sched.quantum = quantum;
  for (const { principal, weight } of weights) {
    if (weight === 1) sched.weights.delete(principal);
    else sched.weights.set(principal, weight);
  }
}

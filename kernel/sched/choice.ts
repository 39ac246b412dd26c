/** The policy in force: what an operator chose (the journal knows), else what is configured. */
import type { Config } from "../config.js";
import type { ReadonlyState } from "../journal/journal.js";
import { makePolicy } from "./policies.js";
import type { Policy } from "./policy.js";

type Chosen = Pick<ReadonlyState, "sched">;
type Configured = Pick<Config, "policy" | "quantum">;

export function inForce(
  { sched }: Chosen,
  config: Configured,
): { policy: string; quantum: number } {
  return { policy: sched.policy ?? config.policy, quantum: sched.quantum ?? config.quantum };
}

/** A new instance of it, for one engine. Weights are those of the moment in which it asks. */
export function policyInForce(state: Chosen, config: Configured): Policy {
  const { policy, quantum } = inForce(state, config);
  const weightOf = (principal: string): number => state.sched.weights.get(principal) ?? 1;
  return makePolicy(policy, { quantum, weightOf });
}

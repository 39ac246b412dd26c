/**
 * Round robin: a burst holds a slot for a quantum of tokens; then, if others wait, the one
 * that has waited longest takes it. Nobody waits longer than everybody before him takes for
 * a turn each.
 */
import type { Policy } from "../policy.js";

/** @param quantum tokens of a turn */
export function roundRobin(quantum: number): Policy {
  const policy: Policy = {
    name: "rr",
    quantum,
    preemptive: true,
    place: () => ({ key: 0 }),
    // Who has used most of its turn gives way first.
    compare: (a, b) => a.quantumUsed - b.quantumUsed || a.switchedInAt - b.switchedInAt,
    yields: ({ quantumUsed }) => quantumUsed >= policy.quantum,
  };
  return policy;
}

/**
 * Priority by nice value, with aging: each `agingUs` of waiting are worth one nice value.
 * Of two that wait the order never changes, since both age alike; so the key is the time
 * since when a burst waits, later by `agingUs` for each nice value.
 *
 * Nobody starves. A burst of nice n that waits for (n + 20) * agingUs goes before whoever
 * begins to wait from then on, at whatever nice value. Before it are only those that waited
 * already, each for one turn: who gives way begins to wait anew, behind it. With N in the
 * queue and S slots it waits at most 39 * agingUs + ceil(N / S) turns, where a turn is a
 * quantum, or what earns the switch (scheduler.ts), whichever is longer. N is bounded by
 * admission. Of a class below another it is at most PASSES + 2 turns in place of each.
 */
import type { BurstView, Policy } from "../policy.js";

/** @param quantum tokens of a turn @param agingUs waiting that is worth one nice value */
export function priority(quantum: number, agingUs: number): Policy {
  const keyOf = ({ nice }: BurstView, since: number): number => since + nice * agingUs;
  const policy: Policy = {
    name: "priority",
    quantum,
    preemptive: true,
    place: (burst) => ({ key: keyOf(burst, burst.readySince) }),
    compare: (a, b) => a.nice - b.nice || a.quantumUsed - b.quantumUsed,
    // Would the other one go first if this one began to wait now?
    yields: (burst, head, now) =>
      burst.quantumUsed >= policy.quantum &&
      keyOf(head.burst, head.burst.readySince) < keyOf(burst, now),
  };
  return policy;
}

/**
 * When a burst that runs gives its slot to the first that waits:
 *
 * - to a class above its own, at once;
 * - to a class below its own when that is owed a turn (run-queue.ts) and its own is over;
 * - within its class when the policy says so.
 *
 * And never to gain less than the switch costs. What comes back must be moved or computed
 * again: so a burst keeps its slot until it was served half of that, and when it would be
 * over before the switch was. With nothing kept outside the slots at most two thirds of the
 * work go into rebuilding, and turns grow with the context.
 */
import type { Burst } from "./burst.js";
import type { Policy } from "./policy.js";
import type { Next } from "./run-queue.js";

/** Whether the first that waits has a better claim to the burst's slot. */
export function wantsSlotOf(burst: Burst, next: Next, policy: Policy, now: number): boolean {
  if (next.owed || burst.owed) return turnsOf(burst, policy) > burst.turns;
  const above = burst.rank - next.burst.rank;
  if (above !== 0) return above > 0;
  return policy.yields(burst, next, now);
}

/** Whether more is gained than the switch costs. `cost`: in tokens generated. */
export function isWorth(burst: Burst, cost: number): boolean {
  const left = burst.spec.maxTokens - burst.generatedSoFar;
  return burst.turnService >= cost / 2 && left > cost;
}

/** Turns that it has had since it got its slot. */
export function turnsOf({ quantumUsed }: Burst, { quantum }: Policy): number {
  return Math.floor(quantumUsed / quantum);
}

/**
 * Sorts those that run in place, the most urgent first (`way` 1) or last (-1); of equal ones
 * who stood before stays before. They are few, and nearly sorted from the step before: an
 * insertion compares each with its neighbour and seldom more.
 */
export function sortByUrgency(bursts: Burst[], policy: Policy, way: 1 | -1): Burst[] {
  for (let i = 1; i < bursts.length; i++) {
    const burst = bursts[i];
    if (!burst) break;
    let at = i;
    for (; at > 0; at--) {
      const before = bursts[at - 1];
      if (!before || way * urgency(before, burst, policy) <= 0) break;
      bursts[at] = before;
    }
    bursts[at] = burst;
  }
  return bursts;
}

/** Below 0 when `a` is the more urgent one. */
function urgency(a: Burst, b: Burst, policy: Policy): number {
  return rankOf(a) - rankOf(b) || policy.compare(a, b);
}

/** 0 is the highest. */
function rankOf({ rank, owed }: Burst): number {
  return owed ? 0 : rank;
}

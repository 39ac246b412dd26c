/** What processes have of the engines now: their slots, and the time of bursts that are not over. */
import type { Kernel } from "../kernel.js";

export interface OnEngines {
  /** Of one of its bursts that runs; -1: none does. */
  slot: number;
  /** What its bursts have waited and been served until now, microseconds. */
  queuedUs: number;
  servedUs: number;
  /** Since when a burst of its has been ready; the longest. Undefined: none is. */
  readySince: number | undefined;
}

export const NOT_THERE: Readonly<OnEngines> = {
  ...{ slot: -1, queuedUs: 0, servedUs: 0 },
  readySince: undefined,
};

/** Of every process that has a burst, in one pass over the bursts. */
export function onEngines({ engines, clock }: Pick<Kernel, "engines" | "clock">) {
  const now = clock.now();
  const all = new Map<bigint, OnEngines>();
  for (const { sched, placer } of engines.running) {
    for (const burst of sched.all()) {
      const { state, readySince, switchedInAt } = burst;
      const one = all.get(burst.spec.pid) ?? { ...NOT_THERE };
      all.set(burst.spec.pid, one);
      one.queuedUs += burst.queuedUs + (state === "ready" ? now - readySince : 0);
      one.servedUs += burst.servedUs + (state === "running" ? now - switchedInAt : 0);
      if (state === "ready") one.readySince = Math.min(one.readySince ?? readySince, readySince);
    }
    for (const burst of sched.running) {
      const one = all.get(burst.spec.pid);
      if (one && one.slot < 0) one.slot = placer.slotOf(burst);
    }
  }
  return all as ReadonlyMap<bigint, Readonly<OnEngines>>;
}

/** A burst as it begins, and what of its input it has had. */

import { CLASSES } from "../journal/fold-procs.js";
import type { Burst, BurstListener, BurstSpec } from "./burst.js";

/** One that begins to wait at `now`. @param order of its arrival, rising */
export function newBurst(
  order: number,
  spec: BurstSpec,
  listener: BurstListener,
  nice: number,
  arrivedAt: number,
  now: number,
): Burst {
  return {
    id: BigInt(order),
    spec,
    listener,
    order,
    rank: CLASSES.indexOf(spec.class),
    account: undefined,
    state: "ready",
    nice,
    missing: spec.genStart,
    readySince: now,
    quantumUsed: 0,
    turnService: 0,
    turns: 0,
    owed: false,
    entered: 0,
    attained: 0,
    recomputed: 0,
    cached: -1,
    queuedUs: 0,
    servedUs: 0,
    switchedInAt: 0,
    arrivedAt,
    firstTokenAt: 0,
    generatedSoFar: 0,
  };
}

/** Given tokens that are in the slot now and were not there before, nor found there. Notes them. */
export function newlyGiven(burst: Burst, length: number): number {
  const before = Math.max(burst.entered, burst.cached);
  burst.entered = Math.max(before, Math.min(length, burst.spec.genStart));
  return burst.entered - before;
}

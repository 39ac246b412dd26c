/** The few statistics a benchmark of a shared machine can stand on: medians and their range. */

/** The middle of some samples, with the extremes and the samples in the order they were taken. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: readonly number[];
}

/**
 * @param samples one or more finite numbers
 * @throws RangeError on none, or on one that is not finite: such a run has failed
 */
export function summarize(samples: readonly number[]): Summary {
  if (samples.length === 0) throw new RangeError("no samples");
  const bad = samples.find((x) => !Number.isFinite(x));
  if (bad !== undefined) throw new RangeError(`a sample is ${bad}`);
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (i: number): number => sorted[i] ?? Number.NaN;
  const half = Math.floor(sorted.length / 2);
  return {
    median: sorted.length % 2 === 1 ? at(half) : (at(half - 1) + at(half)) / 2,
    min: at(0),
    max: at(sorted.length - 1),
    samples: [...samples],
  };
}

/**
 * The ratio of two sides that were run in turns, round by round: what a slow minute of the
 * machine did to both sides of a round cancels out.
 * @throws RangeError when the sides do not have equally many samples
 */
export function pairedRatio(over: readonly number[], under: readonly number[]): Summary {
  if (over.length !== under.length) {
    throw new RangeError(`${over.length} samples against ${under.length}`);
  }
  return summarize(over.map((x, i) => x / (under[i] ?? Number.NaN)));
}

/** The smallest sample that at least `share` of all are not above; NaN of none. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

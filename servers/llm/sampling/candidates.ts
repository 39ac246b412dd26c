/**
 * The tokens that may still be drawn, with whole-number weights: exp((logit - max) /
 * temperature) in units that are a power of two below the greatest weight, so few bits
 * that every sum of weights is exact. So no order of summation matters, and the same
 * token is drawn wherever it is computed.
 */
import { ContixError } from "../../../proto/errno.js";
import { LIGHTEST, weight } from "./exp.js";
import { topK } from "./rank.js";
import { checkGreatest, idsNear } from "./scan.js";

/** In ascending order of id; the first `n` entries count. */
export interface Candidates {
  n: number;
  readonly ids: Int32Array;
  readonly logits: Float32Array;
  /** Whole numbers, 0 too; any sum of them is exact. */
  readonly weights: Float64Array;
}

/** Room for `size` candidates. */
export function candidates(size: number): Candidates {
  return {
    n: 0,
    ids: new Int32Array(size),
    logits: new Float32Array(size),
    weights: new Float64Array(size),
  };
}

/** The weight of the greatest logit, so that `vocab` such weights add up to at most 2^53. */
export function fullWeight(vocab: number): number {
  const bits = 32 - Math.clz32(vocab - 1); // the least with 2^bits >= vocab
  return 2 ** (53 - Math.max(bits, 1));
}

/** Fills `set` with the k (1 or more) tokens of `logits` that rank first; returns the greatest logit. */
export function takeTopK(set: Candidates, logits: Float32Array, k: number): number {
  set.n = topK(logits, k, set.ids);
  const max = lookUp(set, logits);
  checkGreatest(max);
  return max;
}

/**
 * Fills `set` with the tokens of `logits` at most `reach` (0 or more) below the greatest;
 * returns the greatest logit.
 */
export function takeNear(set: Candidates, logits: Float32Array, reach: number): number {
  set.n = idsNear(logits, reach, set.ids);
  const max = lookUp(set, logits);
  const floor = max - reach;
  const { n, ids, logits: kept } = set;
  let left = 0;
  for (let i = 0; i < n; i++) {
    const logit = kept[i] ?? 0;
    if (logit < floor) continue;
    ids[left] = ids[i] ?? 0;
    kept[left] = logit;
    left++;
  }
  set.n = left;
  return max;
}

/** Looks up the candidates' logits by their ids; returns the greatest. */
function lookUp(set: Candidates, logits: Float32Array): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < set.n; i++) {
    const logit = logits[set.ids[i] ?? 0] ?? 0;
    set.logits[i] = logit;
    if (logit > max) max = logit;
  }
  return max;
}

/** Fills `set` with the tokens of `logits` that are at least `floor`. */
function takeAbove(set: Candidates, logits: Float32Array, floor: number): void {
  const { ids, logits: kept } = set;
  const vocab = logits.length;
  let n = 0;
  for (let id = 0; id < vocab; id++) {
    const logit = logits[id] ?? 0;
    if (logit < floor) continue;
    ids[n] = id;
    kept[n] = logit;
    n++;
  }
  set.n = n;
}

/**
 * Fills `set` with tokens that hold at least `target` of the weight, those of the highest
 * logits: a superset of the nucleus, and small when the nucleus is.
 */
export function takeShare(
  set: Candidates,
  logits: Float32Array,
  all: Float64Array,
  target: number,
  max: number,
  temperature: number,
): void {
  for (const reach of [5, 10, 20, -LIGHTEST]) {
    takeAbove(set, logits, max - reach * temperature);
    if (pickWeights(set, all) >= target) return;
  }
}

/** Looks up the candidates' weights by their ids; returns the sum. */
function pickWeights(set: Candidates, all: Float64Array): number {
  const { n, ids, weights } = set;
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const w = all[ids[i] ?? 0] ?? 0;
    weights[i] = w;
    sum += w;
  }
  return sum;
}

/**
 * The weights of the first `n` of `logits`, the greatest of all being `max`, to `weights`;
 * returns their sum. `full` is the weight of `max`.
 */
export function weigh(
  weights: Float64Array,
  logits: Float32Array,
  n: number,
  max: number,
  temperature: number,
  full: number,
): number {
  const inverse = 1 / Math.max(temperature, 1e-38); // finite, so that 0 stays 0
  const round = 2 ** 52; // what is added to this loses its fraction
  let total = 0;
  for (let i = 0; i < n; i++) {
    const w = weight(((logits[i] ?? 0) - max) * inverse) * full + round - round;
    weights[i] = w;
    total += w;
  }
  return total;
}

/** Drops the candidates lighter than `least`; returns the sum of the others. */
export function dropLight(set: Candidates, least: number): number {
  const { n, weights } = set;
  let kept = 0;
  let total = 0;
  for (let i = 0; i < n; i++) {
    const w = weights[i] ?? 0;
    if (w < least) continue;
    total += w;
    if (kept < i) move(set, i, kept);
    kept++;
  }
  set.n = kept;
  return total;
}

/** Puts the candidate at index `from` to index `to` as well. */
export function move(set: Candidates, from: number, to: number): void {
  set.ids[to] = set.ids[from] ?? 0;
  set.logits[to] = set.logits[from] ?? 0;
  set.weights[to] = set.weights[from] ?? 0;
}

/** The index in whose share of `total`, the sum of `weights`, `u` (in [0, 1)) falls. */
export function draw(weights: Float64Array, total: number, u: number): number {
  const point = Math.min(Math.floor(u * total), total - 1); // the product may round up
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    sum += weights[i] ?? 0;
    if (sum > point) return i;
  }
  throw new ContixError("EIO", "no token is left to draw from");
}

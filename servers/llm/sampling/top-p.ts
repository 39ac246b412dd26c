/**
 * Nucleus sampling without a full sort: the shortest prefix of the ranked candidates
 * (higher logit first, lower id first among equals) that holds a given weight.
 *
 * Candidates are thrown into buckets by how far their logit is from the greatest. All
 * buckets before the one where the weight is reached stay, all after it go, and only that
 * one is sorted. The sums are exact, so this is the very set a full sort would give.
 */
import { type Candidates, move } from "./candidates.js";
import { rankKey } from "./rank.js";

const BUCKETS = 1024;

const sums = new Float64Array(BUCKETS);

/** The buckets of one set: number 0 begins at the greatest logit. */
interface Scale {
  readonly max: number;
  /** Buckets per unit of logit. */
  readonly density: number;
}

const bucketOf = (scale: Scale, logit: number): number => ((scale.max - logit) * scale.density) | 0;

/**
 * Keeps the nucleus of `set` that holds at least `target` weight; the greatest logit is
 * `max`, and no candidate is infinitely far from it.
 */
export function keepNucleus(set: Candidates, target: number, max: number): void {
  const scale = { max, density: density(set, max) };
  fillSums(set, scale);
  let edge = 0;
  let before = 0; // the weight of the buckets before the edge
  while (edge < BUCKETS - 1 && before + (sums[edge] ?? 0) < target) {
    before += sums[edge] ?? 0;
    edge++;
  }
  keepRanked(set, scale, edge, lastKept(set, scale, edge, before, target));
}

/** Keeps the buckets before `edge`, and of that one what does not rank after `last`. */
function keepRanked(set: Candidates, scale: Scale, edge: number, last: number): void {
  const { n, ids, logits } = set;
  let kept = 0;
  for (let i = 0; i < n; i++) {
    const logit = logits[i] ?? 0;
    const bucket = bucketOf(scale, logit);
    if (bucket > edge || (bucket === edge && rankKey(logit, ids[i] ?? 0) < last)) continue;
    if (kept < i) move(set, i, kept);
    kept++;
  }
  set.n = kept;
}

/** So that the farthest candidate falls into the last bucket. */
function density(set: Candidates, max: number): number {
  const { n, logits } = set;
  let min = max;
  for (let i = 0; i < n; i++) {
    const logit = logits[i] ?? 0;
    if (logit < min) min = logit;
  }
  return min === max ? 0 : (BUCKETS - 1) / (max - min);
}

/** The weight in each bucket, to `sums`. */
function fillSums(set: Candidates, scale: Scale): void {
  const { logits, weights, n } = set;
  sums.fill(0);
  for (let i = 0; i < n; i++) {
    const bucket = bucketOf(scale, logits[i] ?? 0);
    sums[bucket] = (sums[bucket] ?? 0) + (weights[i] ?? 0);
  }
}

/** The rank key of the last candidate to stay in bucket `edge`: there `before` grows to `target`. */
function lastKept(
  set: Candidates,
  scale: Scale,
  edge: number,
  before: number,
  target: number,
): number {
  const { ids, logits, weights, n } = set;
  const bucket: { key: number; weight: number }[] = [];
  for (let i = 0; i < n; i++) {
    const logit = logits[i] ?? 0;
    if (bucketOf(scale, logit) !== edge) continue;
    bucket.push({ key: rankKey(logit, ids[i] ?? 0), weight: weights[i] ?? 0 });
  }
  bucket.sort((a, b) => b.key - a.key);
  let sum = before;
  for (const { key, weight } of bucket) {
    sum += weight;
    if (sum >= target) return key;
  }
  return bucket.at(-1)?.key ?? Number.NEGATIVE_INFINITY;
}

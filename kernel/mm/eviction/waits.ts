/**
 * How long waits of each kind last, learned as they end; and what that says about one
 * that is under way.
 *
 * Durations fall into buckets that grow by a factor of √2 (the sketch of DDSketch:
 * Masson, Rim and Lee, VLDB 2019: fixed relative error, constant memory, any quantile).
 * Each bucket counts how waits ended in it: *returned*, *ended* (the context was closed
 * and nobody comes back), or *lost* (nobody looked any more). From these the product
 * limit (Kaplan and Meier, 1958) gives the probability that a wait lasts longer than a
 * time, without bias by those that were not watched to their end.
 *
 * What a wait of age a is worth is the Gittins index of its return (Gittins, 1979; in
 * this form, Aalto, Ayesta and Righter, "On the Gittins index in the M/G/1 queue", 2009):
 *
 *     index(a) = max over d of  P(returns within d more) ÷ E[time until it returns, ends or d is over]
 *
 * that is, returns a second of keeping, under the best time to give up. For a power-law
 * tail it falls with age, for a known time it rises until then, and for a wait that
 * mostly is short or very long it falls when the short ones are over. A mean or a median
 * would say none of this.
 */

const SMALLEST_US = 1000;
const BUCKETS_AN_OCTAVE = 2;
/** 1 ms to about 25 days. */
const BUCKETS = 64;
/** Of a bucket that nobody saw: a tenth of those that got there return in it. */
const PRIOR_HAZARD = 0.1;
/** How many waits the prior counts for in each bucket. */
const PRIOR_WEIGHT = 4;
/** Beyond so many waits the old ones count half: what is learned can be unlearned. */
const MEMORY = 20_000;
/** Indices are computed again when there are this many times as many waits. */
const STALE = 1.125;

/** The waits of one kind. */
export class WaitSketch {
  readonly #returned = new Float64Array(BUCKETS);
  readonly #ended = new Float64Array(BUCKETS);
  readonly #lost = new Float64Array(BUCKETS);
  readonly #index = new Float64Array(BUCKETS);
  #count = 0;
  /** Waits when the indices were computed; -1: never. */
  #computedAt = -1;

  get count(): number {
    return this.#count;
  }

  returned(us: number): void {
    this.#note(this.#returned, us);
  }

  /** It is over, and nobody came back. */
  ended(us: number): void {
    this.#note(this.#ended, us);
  }

  /** It lasted at least so long; what became of it is not known. */
  lost(us: number): void {
    this.#note(this.#lost, us);
  }

  /** Expected returns per microsecond of keeping what waits since `age`, under the best plan. */
  index(age: number): number {
    if (this.#computedAt < 0 || this.#count > this.#computedAt * STALE) this.#compute();
    return this.#index[bucketOf(age)] ?? 0;
  }

  /** The time by which a share `p` of all that wait at `age` is over; Infinity: never. */
  quantile(p: number, age = 0): number {
    const first = bucketOf(age);
    const over = this.#over();
    let alive = 1;
    for (let i = first; i < BUCKETS; i++) {
      alive *= 1 - (over.returns[i] ?? 0) - (over.ends[i] ?? 0);
      if (1 - alive >= p) return upper(i);
    }
    return Number.POSITIVE_INFINITY;
  }

  #note(counts: Float64Array, us: number): void {
    const bucket = bucketOf(us);
    counts[bucket] = (counts[bucket] ?? 0) + 1;
    this.#count++;
    if (this.#count < MEMORY) return;
    for (const all of [this.#returned, this.#ended, this.#lost]) {
      for (let i = 0; i < BUCKETS; i++) all[i] = (all[i] ?? 0) / 2;
    }
    this.#count /= 2;
    this.#computedAt = Math.min(this.#computedAt, this.#count);
  }

  /** Of those that reach a bucket, the shares that return and that end in it. */
  #over(): { returns: Float64Array; ends: Float64Array } {
    const returns = new Float64Array(BUCKETS);
    const ends = new Float64Array(BUCKETS);
    let reached = 0;
    for (let i = BUCKETS - 1; i >= 0; i--) {
      const returned = this.#returned[i] ?? 0;
      const ended = this.#ended[i] ?? 0;
      // Those lost in a bucket were there for half of it.
      reached += returned + ended + (this.#lost[i] ?? 0) / 2;
      returns[i] = (returned + PRIOR_HAZARD * PRIOR_WEIGHT) / (reached + PRIOR_WEIGHT);
      ends[i] = ended / (reached + PRIOR_WEIGHT);
      reached += (this.#lost[i] ?? 0) / 2;
    }
    return { returns, ends };
  }

  #compute(): void {
    const { returns, ends } = this.#over();
    for (let from = 0; from < BUCKETS; from++) {
      let alive = 1;
      let back = 0;
      let time = 0;
      let best = 0;
      for (let i = from; i < BUCKETS && alive > 1e-6; i++) {
        const leaving = (returns[i] ?? 0) + (ends[i] ?? 0);
        back += alive * (returns[i] ?? 0);
        // Those that leave in a bucket stay for half of it.
        time += alive * (1 - leaving / 2) * (upper(i) - lower(i));
        alive *= 1 - leaving;
        best = Math.max(best, back / time);
      }
      this.#index[from] = best;
    }
    this.#computedAt = this.#count;
  }
}

/** The sketches of all kinds. An unknown kind has the prior: the older, the longer still. */
export class Waits {
  readonly #kinds = new Map<string, WaitSketch>();

  of(kind: string): WaitSketch {
    const known = this.#kinds.get(kind);
    if (known) return known;
    const sketch = new WaitSketch();
    this.#kinds.set(kind, sketch);
    return sketch;
  }

  get kinds(): Iterable<[string, WaitSketch]> {
    return this.#kinds;
  }
}

/** The age at which a wait of this age gets another index; Infinity: it keeps the one it has. */
export function nextAge(age: number): number {
  const bucket = bucketOf(age);
  return bucket === BUCKETS - 1 ? Number.POSITIVE_INFINITY : upper(bucket);
}

function bucketOf(us: number): number {
  if (us < SMALLEST_US) return 0;
  const bucket = 1 + Math.floor(Math.log2(us / SMALLEST_US) * BUCKETS_AN_OCTAVE);
  return Math.min(bucket, BUCKETS - 1);
}

function lower(bucket: number): number {
  return bucket === 0 ? 0 : upper(bucket - 1);
}

function upper(bucket: number): number {
  return SMALLEST_US * 2 ** (bucket / BUCKETS_AN_OCTAVE);
}

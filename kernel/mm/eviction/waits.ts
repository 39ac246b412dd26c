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
 *
 * Pages leave long before the longest waits are over, so nothing is ever seen of those.
 * Where nobody looked, waits are expected to go on as the shorter ones of their kind did:
 * the older, the longer still. A fixed guess there would one day exceed what was seen,
 * and pages would be kept for being old. A part of a kind (a process's first wait for a
 * tool) starts from what the whole kind is like.
 */

const SMALLEST_US = 1000;
const BUCKETS_AN_OCTAVE = 2;
/** 1 ms to about 25 days. */
const BUCKETS = 64;
/** Before anything was seen: a tenth of those that get to a bucket return in it. */
const PRIOR_HAZARD = 0.1;
/** How many waits the prior counts for in each bucket. */
const PRIOR_WEIGHT = 4;
/** The same for a part of a kind, whose prior is what was seen of the kind. */
const KIND_WEIGHT = 16;
/** How far what is expected of the next bucket follows what was seen in this one. */
const CARRIED = 0.3;
/** What is expected at most: where all waits were over at once, an overdue one is none of those. */
const CARRIED_MOST = 0.2;
/** Beyond so many waits the old ones count half: what is learned can be unlearned. */
const MEMORY = 20_000;
/** Indices are computed again when there are this many times as many waits. */
const STALE = 1.125;

/** Of those that reach a bucket, the shares that return and that end in it. */
interface Over {
  readonly returns: Float64Array;
  readonly ends: Float64Array;
}

/** The waits of one kind, or of a part of one. */
export class WaitSketch {
  readonly #returned = new Float64Array(BUCKETS);
  readonly #ended = new Float64Array(BUCKETS);
  readonly #lost = new Float64Array(BUCKETS);
  readonly #index = new Float64Array(BUCKETS);
  #count = 0;
  /** Waits when the indices were computed; -1: never. */
  #computedAt = -1;

  /** `kind`: the sketch of the kind that this is a part of. It hears of what this one does. */
  constructor(private readonly kind?: WaitSketch) {}

  get count(): number {
    return this.#count;
  }

  returned(us: number): void {
    this.#note(this.#returned, us);
    this.kind?.returned(us);
  }

  /** It is over, and nobody came back. */
  ended(us: number): void {
    this.#note(this.#ended, us);
    this.kind?.ended(us);
  }

  /** It lasted at least so long; what became of it is not known. */
  lost(us: number): void {
    this.#note(this.#lost, us);
    this.kind?.lost(us);
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

  #over(): Over {
    const kind = this.kind ? this.kind.#over() : undefined;
    const weight = kind ? KIND_WEIGHT : PRIOR_WEIGHT;
    const returns = new Float64Array(BUCKETS);
    const ends = new Float64Array(BUCKETS);
    const reached = this.#reached();
    let carried = PRIOR_HAZARD;
    for (let i = 0; i < BUCKETS; i++) {
      const seen = reached[i] ?? 0;
      const returning = kind?.returns[i] ?? carried;
      const ending = kind?.ends[i] ?? 0;
      returns[i] = ((this.#returned[i] ?? 0) + returning * weight) / (seen + weight);
      ends[i] = ((this.#ended[i] ?? 0) + ending * weight) / (seen + weight);
      const step = (CARRIED * seen * ((returns[i] ?? 0) - carried)) / (seen + weight);
      carried = Math.min(carried + step, CARRIED_MOST);
    }
    return { returns, ends };
  }

  /** How many reached each bucket. Those lost in it were there for half of it. */
  #reached(): Float64Array {
    const reached = new Float64Array(BUCKETS);
    let beyond = 0;
    for (let i = BUCKETS - 1; i >= 0; i--) {
      const over = (this.#returned[i] ?? 0) + (this.#ended[i] ?? 0);
      const lost = this.#lost[i] ?? 0;
      reached[i] = beyond + over + lost / 2;
      beyond += over + lost;
    }
    return reached;
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

/** The sketches of all kinds, and of the parts of some. */
export class Waits {
  readonly #kinds = new Map<string, WaitSketch>();

  of(kind: string): WaitSketch {
    return this.#ensure(kind, () => new WaitSketch());
  }

  /** Of a part of a kind, which is learned apart and with it. */
  ofPart(kind: string, part: number): WaitSketch {
    return this.#ensure(`${kind} ${part}`, () => new WaitSketch(this.of(kind)));
  }

  get kinds(): Iterable<[string, WaitSketch]> {
    return this.#kinds;
  }

  #ensure(name: string, make: () => WaitSketch): WaitSketch {
    const known = this.#kinds.get(name);
    if (known) return known;
    const sketch = make();
    this.#kinds.set(name, sketch);
    return sketch;
  }
}

/** The age at which a wait of this age gets another index; Infinity: it keeps the one it has. */
export function nextAge(age: number): number {
  const bucket = bucketOf(age);
  return bucket === BUCKETS - 1 ? Number.POSITIVE_INFINITY : upper(bucket);
}

/** Asked for several times a page that goes: no logarithm, but the octave by the leading bit, and comparisons within it. */
function bucketOf(us: number): number {
  if (us < SMALLEST_US) return 0;
  if (us >= LONGEST_US) return BUCKETS - 1;
  let bucket = 1 + BUCKETS_AN_OCTAVE * (31 - Math.clz32(us / SMALLEST_US));
  while (us >= upper(bucket)) bucket++;
  return bucket;
}

function lower(bucket: number): number {
  return bucket === 0 ? 0 : upper(bucket - 1);
}

/** Asked for each time that a page is ranked. */
const UPPER = Float64Array.from(
  { length: BUCKETS },
  (_, bucket) => SMALLEST_US * 2 ** (bucket / BUCKETS_AN_OCTAVE),
);

const LONGEST_US = SMALLEST_US * 2 ** ((BUCKETS - 2) / BUCKETS_AN_OCTAVE);

function upper(bucket: number): number {
  return UPPER[bucket] ?? Number.POSITIVE_INFINITY;
}

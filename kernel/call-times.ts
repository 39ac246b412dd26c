/**
 * How long calls take in the kernel, from their arrival to their answer, by the call: so
 * that who watches it sees its own time and not a client's. One count a call, among bounds
 * that are few: every call passes here.
 */

/** Microseconds; one bucket more is for what takes longer. */
export const BOUNDS_US: readonly number[] = [
  ...[25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 100_000],
  ...[500_000, 1_000_000, 5_000_000, 30_000_000, 120_000_000],
];

export class Times {
  #sumUs = 0;
  /** Each counts what took up to its bound, and longer than the one before. */
  readonly #buckets = new Array<number>(BOUNDS_US.length + 1).fill(0);

  add(us: number): void {
    this.#sumUs += us;
    let at = 0;
    while (us > (BOUNDS_US[at] ?? Number.POSITIVE_INFINITY)) at++;
    this.#buckets[at] = (this.#buckets[at] ?? 0) + 1;
  }

  get figures() {
    return { sumUs: BigInt(Math.round(this.#sumUs)), bucket: this.#buckets.map(BigInt) };
  }
}

export class CallTimes {
  /** What generations waited for a slot. */
  readonly waits = new Times();
  readonly #of = new Map<string, Times>();

  /** `call`: the row's name. */
  add(call: string, us: number): void {
    let times = this.#of.get(call);
    if (!times) {
      times = new Times();
      this.#of.set(call, times);
    }
    times.add(us);
  }

  get figures() {
    return [...this.#of].map(([call, times]) => ({ call, ...times.figures }));
  }
}

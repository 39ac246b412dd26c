/**
 * A token bucket: it fills at `rate` a second up to what one second, or some, bring (at
 * least 1), and is full at first. What is charged after the fact may take it below nothing; then it
 * owes, and has nothing until that is paid back, so that the rate holds in the long run
 * whatever a single charge was. A clock that steps back adds nothing and takes nothing.
 */
const SECOND = 1e6;
/** Sums of fractions miss by a little: so much may be missing where there is enough. */
const SLACK = 1e-6;
/**
 * Of that, what a wait counts on: it ends when there is enough, not when nothing is
 * missing; the rest is for its own rounding, so that who comes when he was told to is let in.
 */
const COUNTED = 0.95 * SLACK;

export class Bucket {
  readonly #seconds: number;
  #level = Number.POSITIVE_INFINITY;
  #at = Number.NEGATIVE_INFINITY;

  /** `seconds`: how many of them it holds what they bring. */
  constructor(seconds = 1) {
    this.#seconds = seconds;
  }

  /** What is in it, below 0 what it owes. `now`: microseconds. */
  level(now: number, rate: number): number {
    if (now > this.#at) {
      // Before its first use it is full, whatever that is.
      if (this.#at > Number.NEGATIVE_INFINITY) this.#level += ((now - this.#at) / SECOND) * rate;
      this.#at = now;
    }
    this.#level = Math.min(this.#level, capacity(rate, this.#seconds));
    return this.#level;
  }

  /** The time until it has `n`, microseconds; 0: it has. `n` is at most what it holds. */
  waitUs(now: number, rate: number, n: number): number {
    const missing = Math.min(n, capacity(rate, this.#seconds)) - this.level(now, rate);
    return missing <= SLACK ? 0 : Math.ceil(((missing - COUNTED) / rate) * SECOND);
  }

  charge(now: number, rate: number, n: number): void {
    this.#level = this.level(now, rate) - n;
  }

  isFull(now: number, rate: number): boolean {
    return this.level(now, rate) >= capacity(rate, this.#seconds);
  }
}

/** What a bucket holds: a second's worth, or that of some. */
export function capacity(rate: number, seconds = 1): number {
  return Math.max(1, seconds * rate);
}

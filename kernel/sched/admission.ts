/**
 * Admission: how many generations the kernel takes on. Beyond that the caller
 * gets EAGAIN with the time after which a place should be free.
 */
import { ContixError } from "../../proto/errno.js";

/** Weight of the newest service time in the running mean. */
const SMOOTHING = 0.1;
const FIRST_GUESS_US = 1_000_000;

export class Admission {
  readonly limit: number;
  readonly #slots: number;
  #admitted = 0;
  #meanServiceUs = FIRST_GUESS_US;

  /** `slots` run at once, `queueLimit` more may wait. */
  constructor(slots: number, queueLimit: number) {
    this.#slots = slots;
    this.limit = slots + queueLimit;
  }

  get admitted(): number {
    return this.#admitted;
  }

  /** Takes a place. EAGAIN when there is none. */
  enter(): void {
    if (this.#admitted >= this.limit) {
      const message = `${this.#admitted} generations are admitted, the limit`;
      throw new ContixError("EAGAIN", message, { retryAfterUs: this.retryAfterUs() });
    }
    this.#admitted++;
  }

  /** Gives the place back. `servedUs`: how long it held a slot, if it did. */
  leave(servedUs?: number): void {
    this.#admitted--;
    if (servedUs) this.#meanServiceUs += SMOOTHING * (servedUs - this.#meanServiceUs);
  }

  /** The expected time until a place is free: one service time spread over the slots. */
  retryAfterUs(): number {
    return Math.max(10_000, Math.round(this.#meanServiceUs / this.#slots));
  }
}

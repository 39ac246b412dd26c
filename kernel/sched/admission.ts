/**
 * Admission: how many generations the kernel takes on. Beyond that the caller
 * gets EAGAIN with the time after which a place should be free.
 */
import { ContixError } from "../../proto/errno.js";

/**
 * One process may hold this many times the places that are left free. Alone it gets
 * nearly all, and whoever comes then still finds some: generations that nobody reads
 * can hold their places for ever.
 */
const SHARE = 4;
/** Weight of the newest service time in the running mean. */
const SMOOTHING = 0.1;
const FIRST_GUESS_US = 1_000_000;

export class Admission {
  readonly limit: number;
  readonly #slots: number;
  #admitted = 0;
  readonly #byProcess = new Map<bigint, number>();
  #meanServiceUs = FIRST_GUESS_US;

  /** `slots` run at once, `queueLimit` more may wait. */
  constructor(slots: number, queueLimit: number) {
    this.#slots = slots;
    this.limit = slots + queueLimit;
  }

  get admitted(): number {
    return this.#admitted;
  }

  /** Takes a place for a process. EAGAIN when there is none for it. */
  enter(pid: bigint): void {
    const held = this.#byProcess.get(pid) ?? 0;
    const free = this.limit - this.#admitted;
    if (free <= 0 || held >= SHARE * free) {
      const message =
        free <= 0
          ? `${this.#admitted} generations are admitted, the limit`
          : `this process holds ${held} of ${this.limit} places for generations; others need room`;
      throw new ContixError("EAGAIN", message, { retryAfterUs: this.retryAfterUs() });
    }
    this.#admitted++;
    this.#byProcess.set(pid, held + 1);
  }

  /** Gives the place back. `servedUs`: how long it held a slot, if it did. */
  leave(pid: bigint, servedUs?: number): void {
    this.#admitted--;
    const held = (this.#byProcess.get(pid) ?? 0) - 1;
    if (held > 0) this.#byProcess.set(pid, held);
    else this.#byProcess.delete(pid);
    if (servedUs) this.#meanServiceUs += SMOOTHING * (servedUs - this.#meanServiceUs);
  }

  /** The expected time until a place is free: one service time spread over the slots. */
  retryAfterUs(): number {
    return Math.max(10_000, Math.round(this.#meanServiceUs / this.#slots));
  }
}

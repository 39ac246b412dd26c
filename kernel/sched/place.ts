/**
 * The place that one generation has in its model's queue (admission.ts). While its reader is
 * behind it does not compete for a slot, and after a while it does not count against the
 * others either: its place is given away. Its context is kept. When the reader goes on, so does
 * it at once, though the model then has more than its limit for a moment: it was admitted, and
 * is not to be refused in the middle of an answer.
 */
import type { Clock } from "../clock.js";
import type { Admission, Asker, Done } from "./admission.js";

/** How long a reader may be behind before the place is given away, microseconds. */
export const PLACE_US = 2_000_000;

export class Place {
  readonly #admission: Admission;
  readonly #clock: Clock;
  readonly #asker: Asker;
  #away = false;
  #cancel: (() => void) | undefined;

  /** Takes it. EAGAIN when there is none. */
  constructor(admission: Admission, clock: Clock, asker: Asker) {
    this.#admission = admission;
    this.#clock = clock;
    this.#asker = asker;
    admission.enter(asker, clock.now());
  }

  /** Whether somebody takes what the generation makes. */
  read(able: boolean): void {
    if (!able) {
      this.#cancel ??= this.#clock.after(PLACE_US, () => this.#give());
      return;
    }
    this.#stay();
    if (!this.#away) return;
    this.#away = false;
    this.#admission.back(this.#asker);
  }

  /** The generation is over. `done`: what it was, if it was served at all. */
  leave(done?: Done): void {
    this.#stay();
    if (this.#away) this.#admission.back(this.#asker);
    this.#admission.leave(this.#asker, done);
  }

  #give(): void {
    this.#away = this.#admission.away(this.#asker);
  }

  #stay(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

/**
 * The end of capabilities that were granted for a time. A handle whose time is over is
 * taken back as by a revocation: it is no more, what was granted from it neither, what went
 * on through it ends, a lock that was held by it goes to the next, an end of a pipe is gone.
 *
 * One timer stands for all of them, at the earliest end. The check of rights looks at the
 * clock too: a timer may be late, a right may not.
 */
import type { Clock } from "../clock.js";
import { Entry, Heap } from "../heap.js";
import type { Journal } from "../journal/journal.js";

/** Entries kept before those are looked for whose capability ended otherwise. */
const KEPT = 1024;

export class Expiry {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #ended: () => void;
  /** By their ends. Some are of capabilities that are gone already. */
  #ends = new Heap<bigint>();
  #most = KEPT;
  #cancel: () => void = () => {};
  /** What the timer is set to. */
  #at = Number.POSITIVE_INFINITY;

  /** `ended` hears when some have ended, and the journal knows. */
  constructor(journal: Journal, clock: Clock, ended: () => void) {
    this.#journal = journal;
    this.#clock = clock;
    this.#ended = ended;
    this.#fill();
    journal.watch((record) => {
      if (record.type === "cap.made" && record.expires) this.#note(record.id, record.expires);
    });
  }

  /** How many are watched. */
  get size(): number {
    return this.#ends.size;
  }

  #note(id: bigint, expires: number): void {
    if (this.#ends.size >= this.#most) this.#fill();
    this.#ends.set(new Entry(id, Number(id)), expires);
    this.#arm();
  }

  /** Begins anew with those that there are: each was closed or taken back of which nothing is left. */
  #fill(): void {
    this.#ends = new Heap();
    for (const { id, expires } of this.#journal.state.caps.values()) {
      if (expires !== 0) this.#ends.set(new Entry(id, Number(id)), expires);
    }
    this.#most = Math.max(KEPT, 2 * this.#ends.size);
    this.#arm();
  }

  #arm(): void {
    const at = this.#ends.first?.key ?? Number.POSITIVE_INFINITY;
    if (at >= this.#at) return;
    this.#cancel();
    this.#at = at;
    this.#cancel = this.#clock.after(Math.max(0, at - this.#clock.now()), () => this.#over());
  }

  #over(): void {
    this.#at = Number.POSITIVE_INFINITY;
    const { state } = this.#journal;
    let ended = false;
    for (let first = this.#ends.first; first; first = this.#ends.first) {
      if (first.key > this.#clock.now()) break;
      this.#ends.remove(first);
      if (!state.caps.has(first.item)) continue;
      this.#journal.append({ type: "cap.revoked", id: first.item, self: true });
      ended = true;
    }
    this.#arm();
    if (ended) this.#ended();
  }
}

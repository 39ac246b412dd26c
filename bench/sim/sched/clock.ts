/**
 * Time that nobody waits for: it moves to the next thing that happens, and no further.
 * What happens at one moment happens in the order in which it was asked for.
 */
import type { Clock } from "../../../kernel/clock.js";
import { Entry, Heap } from "../../../kernel/heap.js";

interface Happening {
  readonly at: number;
  readonly run: () => void;
}

export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  readonly #happenings = new Heap<Happening>();

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now / 1000;
  }

  after(us: number, run: () => void): () => void {
    return this.at(this.#now + us, run);
  }

  /** Runs `run` when it is `at` microseconds, or now when that is over; the result cancels it. */
  at(at: number, run: () => void): () => void {
    const when = Math.max(at, this.#now);
    const entry = new Entry<Happening>({ at: when, run }, ++this.#order);
    this.#happenings.set(entry, when);
    return () => {
      if (entry.at >= 0) this.#happenings.remove(entry);
    };
  }

  /** When the next thing happens; undefined: nothing will. */
  get next(): number | undefined {
    return this.#happenings.first?.item.at;
  }

  /** Lets the next thing happen, if it does until `end`. @returns whether it did */
  happen(end: number): boolean {
    const first = this.#happenings.first;
    if (!first || first.item.at > end) return false;
    this.#happenings.remove(first);
    this.#now = Math.max(this.#now, first.item.at);
    first.item.run();
    return true;
  }

  /** Nothing happens until `to`, and then it is `to`. Throws when something does. */
  pass(to: number): void {
    const { next } = this;
    if (next !== undefined && next < to) throw new Error(`${next} µs is before ${to}`);
    if (to > this.#now) this.#now = to;
  }
}

/** What the executor knows of a slot: the tokens whose KV is in it, and whom it serves. */

import { ContixError } from "../../../proto/errno.js";
import { PAGE_TOKENS } from "./pages.js";
import type { RunningBurst } from "./running-burst.js";

export class Slot {
  readonly index: number;
  /** The mirror: token i is the one whose KV is at position i. */
  tokens: number[] = [];
  burst: RunningBurst | undefined;
  /** Settles when every read into this slot is over; undefined: there is none. */
  reading: Promise<void> | undefined;
  /** The burst that was here last. A plan made before its end was known may still name it. */
  #ended: bigint | undefined;
  /** Where the content ends if every read into it goes well. */
  #promised = 0;

  constructor(index: number) {
    this.index = index;
  }

  get length(): number {
    return this.tokens.length;
  }

  /**
   * Expects 16 tokens at `start` to be read: behind the content and behind what is being
   * read, or, when nothing is any more, behind the content again (a read had failed).
   * @returns false when the read belongs elsewhere
   */
  promise(start: number): boolean {
    const end = Math.max(this.#promised, this.length);
    const again = this.reading === undefined && start === this.length;
    if (start !== end && !again) return false;
    this.#promised = start + PAGE_TOKENS;
    return true;
  }

  /** Keeps the first `keep` tokens. No read is under way. */
  cut(keep: number): void {
    this.tokens.length = keep;
    this.#promised = keep;
  }

  /** The burst goes; the content stays. */
  unbind(): void {
    if (this.burst !== undefined) this.#ended = this.burst.id;
    this.burst = undefined;
  }

  /** Takes over the first `length` tokens of `from`; the caller copies the KV. */
  takeContent(from: Slot, length: number): void {
    this.unbind();
    this.tokens = from.tokens.slice(0, length);
    this.#promised = length;
  }

  /** Takes over whom `from` serves, or whom it served last. */
  takeBurst(from: Slot): void {
    this.#ended = from.#ended;
    this.burst = from.burst;
    from.unbind();
  }

  /** The burst `id` that a plan names here; undefined when it has ended since. */
  serving(id: bigint): RunningBurst | undefined {
    if (this.burst?.id === id) return this.burst;
    if (this.#ended === id) return undefined;
    const holds = this.burst === undefined ? "no burst" : `burst ${this.burst.id}`;
    throw new ContixError(
      "EPROTO",
      `the plan serves burst ${id} in slot ${this.index}, which holds ${holds}`,
    );
  }

  /**
   * Compares `tokens`, which the plan puts at start.., with what is there already.
   * @returns how many of them are there
   */
  already(start: number, tokens: readonly number[]): number {
    if (start > this.length) {
      throw new ContixError(
        "EPROTO",
        `the plan goes on at position ${start} of slot ${this.index}, which has ${this.length} tokens`,
      );
    }
    const done = Math.min(this.length - start, tokens.length);
    for (let i = 0; i < done; i++) {
      if (this.tokens[start + i] === tokens[i]) continue;
      throw new ContixError(
        "EPROTO",
        `the plan has token ${tokens[i]} at position ${start + i} of slot ${this.index}, where ${this.tokens[start + i]} is`,
      );
    }
    return done;
  }
}

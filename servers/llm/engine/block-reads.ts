/**
 * Reads of blocks, dealt to the threads that do them: a few at once, so that a message is not
 * dearer than what it brings, and to whoever has least to do, so that all end together.
 */
import type { Place } from "./page-memory.js";
import { NAME_BYTES } from "./swap-block.js";
import type { Job } from "./swap-protocol.js";
import type { SwapThread } from "./swap-thread.js";

interface Wanted {
  readonly block: number;
  readonly name: Uint8Array;
  readonly place: Place;
  readonly done: (error: string) => void;
}

/** What a thread is given at once at most, bytes. */
const DEAL_BYTES = 3 * 2 ** 20;

/** Jobs that a thread has: the one it does, and the one that it goes on with. */
const AHEAD = 2;

export class BlockReads {
  readonly #threads: readonly SwapThread[];
  readonly #most: number;
  readonly #waiting: Wanted[] = [];

  constructor(threads: readonly SwapThread[], pageBytes: number) {
    this.#threads = threads;
    this.#most = Math.max(1, Math.floor(DEAL_BYTES / pageBytes));
  }

  /** @returns as Swap.read does */
  read(block: number, name: Uint8Array, place: Place): Promise<string> {
    return new Promise((done) => {
      this.#waiting.push({ block, name, place, done });
      // Not at once: what comes in the same turn goes with it.
      if (this.#waiting.length === 1) queueMicrotask(() => this.#deal());
    });
  }

  #deal(): void {
    const share = Math.ceil(this.#waiting.length / this.#threads.length);
    const count = Math.min(share, this.#most);
    while (this.#waiting.length > 0) {
      const thread = this.#threads.reduce((a, b) => (b.jobs < a.jobs ? b : a));
      if (thread.jobs >= AHEAD) return;
      void this.#run(thread, this.#waiting.splice(0, count));
    }
  }

  async #run(thread: SwapThread, reads: readonly Wanted[]): Promise<void> {
    const errors = await thread.ask(job(reads));
    for (const [i, { done }] of reads.entries()) done(errors[i] ?? "");
    this.#deal();
  }
}

function job(reads: readonly Wanted[]): Job {
  const names = new Uint8Array(reads.length * NAME_BYTES);
  for (const [i, { name }] of reads.entries()) names.set(name, i * NAME_BYTES);
  return { kind: "read", moves: reads.map(({ block, place: { at } }) => ({ block, at })), names };
}

/** A swap file for tests, in memory: it outlives its driver when the test keeps it. */

import { PageFiller, type Place } from "../page-memory.js";
import { BAD_PAGE, type Swap } from "../swap.js";

interface StoredPage {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export class MemorySwap implements Swap {
  readonly blocks: number;
  readonly #stored = new Map<number, StoredPage>();
  readonly #later: () => Promise<void>;

  /** `later`: how long a read or a write takes; by default a turn of the event loop. */
  constructor(blocks: number, later: () => Promise<void> = turn) {
    this.blocks = blocks;
    this.#later = later;
  }

  async write(block: number, name: Uint8Array, page: readonly Uint8Array[]): Promise<string> {
    const stored = { name: key(name), bytes: Buffer.concat(page) };
    await this.#later();
    this.#stored.set(block, stored);
    return "";
  }

  async read(block: number, name: Uint8Array, { memory, at }: Place): Promise<string> {
    await this.#later();
    const stored = this.#stored.get(block);
    if (stored?.name !== key(name)) return BAD_PAGE;
    new PageFiller(memory, stored.bytes).fill(at);
    return "";
  }

  async close(): Promise<void> {}

  /** The next read of the block finds that it is not what was written. */
  corrupt(block: number): void {
    this.#stored.delete(block);
  }
}

function key(name: Uint8Array): string {
  return Buffer.from(name).toString("base64");
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

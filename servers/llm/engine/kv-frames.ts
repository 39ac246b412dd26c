/**
 * Frames: pages of KV in RAM, outside the slots.
 *
 * A page is not one piece of memory here. Of each layer's keys and values, and of each
 * head in them, all frames lie one behind the other, as positions do in a slot. So pages
 * that follow one another in a context and in the frames move as one: 512 tokens of a
 * model of 30 layers with 3 heads are 180 copies of 128 KB, and not 5,760 of 4 KB. Frames
 * and slots share their buffers, because a copy within one array is the cheapest there is.
 */

import { type KvBuffer, type KvSlots, pageBytes } from "./kv-slots.js";
import type { PageMemory, Piece, Place } from "./page-memory.js";
import { PAGE_TOKENS, type Pages } from "./pages.js";

export class KvFrames implements Pages {
  readonly bytes: number;
  readonly frames: number;
  readonly memory: PageMemory;
  readonly #kv: KvSlots;
  readonly #filled: (slot: number, end: number) => void;

  /** `filled` hears how much of a slot is content, or will be when a read is over. */
  constructor(kv: KvSlots, filled: (slot: number, end: number) => void) {
    this.bytes = pageBytes(kv.shape);
    this.frames = kv.shape.frames;
    this.#kv = kv;
    this.#filled = filled;
    this.memory = this.#memory();
  }

  save(slot: number, start: number, count: number, frame: number): void {
    const length = count * this.#kv.shape.headDim;
    this.#each((buffer, head) => {
      const from = this.#kv.at(slot, head, start);
      buffer.copyWithin(this.#kv.atFrame(frame, head), from, from + length);
    });
  }

  load(frame: number, slot: number, start: number, count: number): void {
    const length = count * this.#kv.shape.headDim;
    this.#each((buffer, head) => {
      const from = this.#kv.atFrame(frame, head);
      buffer.copyWithin(this.#kv.at(slot, head, start), from, from + length);
    });
    this.#filled(slot, start + count);
  }

  frame(frame: number): Uint8Array[] {
    return this.#pieces((head) => this.#kv.atFrame(frame, head));
  }

  inSlot(slot: number, start: number): Place {
    this.#filled(slot, start + PAGE_TOKENS);
    const size = this.#kv.buffers[0]?.BYTES_PER_ELEMENT ?? 0;
    return { memory: this.memory, at: this.#kv.at(slot, 0, start) * size };
  }

  #each(move: (buffer: KvBuffer, head: number) => void): void {
    const { kvHeads } = this.#kv.shape;
    for (const buffer of this.#kv.buffers) {
      for (let head = 0; head < kvHeads; head++) move(buffer, head);
    }
  }

  #memory(): PageMemory {
    const { blocks } = this.#kv;
    const pieces: Piece[] = [];
    let length = 0;
    this.#each(({ buffer, byteOffset, BYTES_PER_ELEMENT: size }, head) => {
      const start = byteOffset + this.#kv.at(0, head, 0) * size;
      pieces.push({ memory: blocks.findIndex(({ data }) => data.buffer === buffer), start });
      length = PAGE_TOKENS * this.#kv.shape.headDim * size;
    });
    return { memories: blocks.map(({ memory }) => memory), pieces, length };
  }

  #pieces(at: (head: number) => number): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    const length = PAGE_TOKENS * this.#kv.shape.headDim;
    this.#each(({ buffer, byteOffset, BYTES_PER_ELEMENT: size }, head) => {
      pieces.push(new Uint8Array(buffer, byteOffset + at(head) * size, length * size));
    });
    return pieces;
  }
}

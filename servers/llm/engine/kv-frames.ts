/**
 * Frames: pages of KV in RAM, outside the slots.
 *
 * A page is not one piece of memory here. Of each layer's keys and values, and of each
 * head in them, all frames lie one behind the other, as positions do in a slot. So pages
 * that follow one another in a context and in the frames move as one: 512 tokens of a
 * model of 30 layers with 3 heads are 180 copies of 128 KB, and not 5,760 of 4 KB.
 */

import { allocateKv, type KvBuffer, type KvShape, type KvSlots } from "./kv-slots.js";
import { PAGE_TOKENS } from "./pages.js";

export class KvFrames {
  /** Bytes of one page. */
  readonly bytes: number;
  readonly count: number;
  readonly #shape: KvShape;
  readonly #slots: KvSlots;
  /** As the slots' buffers, each [kvHeads, frames × 16, headDim]. Untouched, they take no memory. */
  readonly #buffers: readonly KvBuffer[];

  /** As many frames as `memory`, bytes, holds. */
  constructor(slots: KvSlots, memory: number) {
    this.#shape = slots.shape;
    this.#slots = slots;
    const { layers, kvHeads, headDim, format } = slots.shape;
    const perBuffer = kvHeads * PAGE_TOKENS * headDim;
    this.bytes = layers * 2 * perBuffer * slots.valueBytes;
    this.count = Math.floor(memory / this.bytes);
    this.#buffers = this.count > 0 ? allocateKv(format, layers * 2, this.count * perBuffer) : [];
  }

  /** Copies positions start .. start + count - 1 of a slot to the frames from `frame` on. */
  save(slot: number, start: number, count: number, frame: number): void {
    const length = count * this.#shape.headDim;
    this.#each((frames, slots, head) => {
      const from = this.#slots.at(slot, head, start);
      frames.set(slots.subarray(from, from + length), this.#at(frame, head));
    });
  }

  /** The way back. */
  load(frame: number, slot: number, start: number, count: number): void {
    const length = count * this.#shape.headDim;
    this.#each((frames, slots, head) => {
      const from = this.#at(frame, head);
      slots.set(frames.subarray(from, from + length), this.#slots.at(slot, head, start));
    });
  }

  /** A frame's bytes, piece by piece. */
  views(frame: number): Uint8Array[] {
    return this.#pieces((head) => this.#at(frame, head), this.#buffers);
  }

  /** The bytes of 16 positions of a slot, in the same order. */
  slotViews(slot: number, start: number): Uint8Array[] {
    return this.#pieces((head) => this.#slots.at(slot, head, start), this.#slots.buffers);
  }

  #each(move: (frames: KvBuffer, slots: KvBuffer, head: number) => void): void {
    const { kvHeads } = this.#shape;
    for (const [i, frames] of this.#buffers.entries()) {
      const slots = this.#slots.buffers[i];
      for (let head = 0; slots !== undefined && head < kvHeads; head++) move(frames, slots, head);
    }
  }

  #pieces(at: (head: number) => number, buffers: readonly KvBuffer[]): Uint8Array[] {
    const { kvHeads, headDim } = this.#shape;
    const { valueBytes } = this.#slots;
    const pieces: Uint8Array[] = [];
    for (const { buffer, byteOffset } of buffers) {
      for (let head = 0; head < kvHeads; head++) {
        const from = byteOffset + at(head) * valueBytes;
        pieces.push(new Uint8Array(buffer, from, PAGE_TOKENS * headDim * valueBytes));
      }
    }
    return pieces;
  }

  /** Where a frame's values of a head begin in a buffer. */
  #at(frame: number, head: number): number {
    return (head * this.count + frame) * PAGE_TOKENS * this.#shape.headDim;
  }
}

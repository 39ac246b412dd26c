/**
 * The keys and values of every slot: per layer one buffer of keys and one of values,
 * [slots, kvHeads, slotTokens, headDim], floats or signed bytes. A run over slots first..
 * sees a part of these buffers as its past and writes its present into the same memory.
 * Behind the slots each buffer has room for the frames, [kvHeads, frames, 16, headDim]
 * (kv-frames.ts).
 */

import type { KvFormat } from "../models/compiled.js";
import { alignedShared, type Shared, Tensor, type Typed } from "./ort.js";
import { PAGE_TOKENS } from "./pages.js";

export interface KvShape {
  readonly layers: number;
  readonly slots: number;
  readonly frames: number;
  readonly kvHeads: number;
  readonly slotTokens: number;
  readonly headDim: number;
  readonly format: KvFormat;
}

export type KvBuffer = Float32Array | Int8Array;

const ARRAYS: Readonly<Record<KvFormat, Typed<KvBuffer>>> = {
  fp32: Float32Array,
  int8: Int8Array,
};

/** The KV of one page, bytes. */
export function pageBytes(shape: Omit<KvShape, "slots" | "frames" | "slotTokens">): number {
  const { layers, kvHeads, headDim, format } = shape;
  return layers * 2 * kvHeads * PAGE_TOKENS * headDim * ARRAYS[format].BYTES_PER_ELEMENT;
}

export class KvSlots {
  readonly shape: KvShape;
  /** Keys of layer 0, its values, keys of layer 1, ... */
  readonly buffers: readonly KvBuffer[];
  /** In which the buffers lie: threads of the swap file fill them, too. */
  readonly blocks: readonly Shared<KvBuffer>[];
  /** By first slot and count: at most slots² / 2 entries, of which compaction needs few. */
  readonly #tensors = new Map<string, readonly Tensor[]>();

  constructor(shape: KvShape) {
    this.shape = shape;
    const { kvHeads, frames, headDim } = shape;
    const length = shape.slots * this.#slotLength + kvHeads * frames * PAGE_TOKENS * headDim;
    const made = buffers(ARRAYS[shape.format], shape.layers * 2, length);
    this.buffers = made.buffers;
    this.blocks = made.blocks;
  }

  /** Where the values of a position begin in a buffer. */
  at(slot: number, head: number, position: number): number {
    const { slotTokens, headDim } = this.shape;
    return slot * this.#slotLength + (head * slotTokens + position) * headDim;
  }

  /** Where a frame's values begin in a buffer. */
  atFrame(frame: number, head: number): number {
    const { slots, frames, headDim } = this.shape;
    return slots * this.#slotLength + (head * frames + frame) * PAGE_TOKENS * headDim;
  }

  /** The tensors of slots first .. first + count - 1, in the order of the buffers. */
  tensors(first: number, count: number): readonly Tensor[] {
    const key = `${first} ${count}`;
    let tensors = this.#tensors.get(key);
    if (tensors === undefined) {
      const { kvHeads, slotTokens, headDim } = this.shape;
      tensors = this.buffers.map(
        (buffer) =>
          new Tensor(buffer.subarray(first * this.#slotLength), [
            count,
            kvHeads,
            slotTokens,
            headDim,
          ]),
      );
      this.#tensors.set(key, tensors);
    }
    return tensors;
  }

  /** Copies the first `tokens` positions of a slot over another's. */
  copy(from: number, to: number, tokens: number): void {
    const { kvHeads, headDim } = this.shape;
    for (const buffer of this.buffers) {
      for (let head = 0; head < kvHeads; head++) {
        const start = this.at(from, head, 0);
        buffer.copyWithin(this.at(to, head, 0), start, start + tokens * headDim);
      }
    }
  }

  close(): void {
    for (const tensors of this.#tensors.values()) for (const tensor of tensors) tensor.close();
    this.#tensors.clear();
  }

  get #slotLength(): number {
    const { kvHeads, slotTokens, headDim } = this.shape;
    return kvHeads * slotTokens * headDim;
  }
}

/** V8 collects garbage for every large buffer that is allocated: so few, of at most this size. */
const BLOCK_BYTES = 2 ** 31;

/** `count` buffers of `length` values, zeros, cut out of large blocks. */
function buffers(array: Typed<KvBuffer>, count: number, length: number) {
  const perBlock = Math.max(1, Math.floor(BLOCK_BYTES / (length * array.BYTES_PER_ELEMENT)));
  const buffers: KvBuffer[] = [];
  const blocks: Shared<KvBuffer>[] = [];
  while (buffers.length < count) {
    const here = Math.min(perBlock, count - buffers.length);
    const block = alignedShared(array, here * length);
    blocks.push(block);
    for (let i = 0; i < here; i++) buffers.push(block.data.subarray(i * length, (i + 1) * length));
  }
  return { buffers, blocks };
}

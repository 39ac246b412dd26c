/**
 * The keys and values of every slot, of a graph whose present is its past and some more.
 *
 * Such a graph wants its past without gaps, [kvHeads, tokens, headDim], and writes its
 * present somewhere else. So a slot's buffers hold exactly its tokens; a run writes into
 * spare buffers; and when all of that is to stay, slot and spare change places, which
 * moves nothing. Otherwise rows are copied.
 */

import { aligned, type Data, Tensor } from "../engine/ort.js";

export interface GrowingKvShape {
  readonly layers: readonly { readonly kvHeads: number; readonly headDim: number }[];
  readonly kv: "fp32" | "fp16";
  readonly slots: number;
  /** The most tokens of a slot. */
  readonly capacity: number;
  /** The most tokens that are set aside at once. */
  readonly block: number;
}

/** Keys or values of one layer. */
interface Buffer {
  readonly data: Data;
  readonly heads: number;
  readonly dim: number;
}

/** Buffers in the order of the graph's names, and how many tokens they hold. */
interface Content {
  readonly buffers: readonly Buffer[];
  tokens: number;
}

/** Elements between the starts of buffers are a multiple of 64 bytes. */
const ALIGNED = 32;

export class GrowingKv {
  readonly #slots: Content[];
  #spare: Content;
  readonly #aside: Content;

  constructor(shape: GrowingKvShape) {
    this.#slots = Array.from({ length: shape.slots }, () => content(shape, shape.capacity));
    this.#spare = content(shape, shape.capacity);
    this.#aside = content(shape, shape.block);
  }

  /** Tokens in the slot. */
  length(slot: number): number {
    return this.#slot(slot).tokens;
  }

  /** Keeps the first `tokens` of a slot. */
  cut(slot: number, tokens: number): void {
    const content = this.#slot(slot);
    if (tokens > content.tokens) {
      throw new RangeError(`slot ${slot} has ${content.tokens} tokens, not ${tokens}`);
    }
    if (tokens === content.tokens) return;
    for (const { data, heads, dim } of content.buffers) {
      for (let head = 0; head < heads; head++) {
        const start = head * content.tokens * dim;
        data.copyWithin(head * tokens * dim, start, start + tokens * dim);
      }
    }
    content.tokens = tokens;
  }

  /** Cuts a slot to `tokens`; what was behind is set aside. */
  setAside(slot: number, tokens: number): void {
    const content = this.#slot(slot);
    this.#aside.tokens = 0;
    append(this.#aside, content, tokens, content.tokens);
    this.cut(slot, tokens);
  }

  /** Tensors over a slot's tokens; the caller closes them. */
  past(slot: number): Tensor[] {
    return tensors(this.#slot(slot));
  }

  /** Tensors for a run to write its present of `tokens` into; the caller closes them. */
  present(tokens: number): Tensor[] {
    this.#spare.tokens = tokens;
    return tensors(this.#spare);
  }

  /** After `setAside` and a run: brings back what was set aside, then [from, to) of the present. */
  keep(slot: number, from: number, to: number): void {
    const content = this.#slot(slot);
    if (this.#aside.tokens === 0 && to === this.#spare.tokens) {
      this.#slots[slot] = this.#spare;
      this.#spare = content;
      return;
    }
    append(content, this.#aside, 0, this.#aside.tokens);
    append(content, this.#spare, from, to);
  }

  /** Makes the first `tokens` of a slot the content of another. */
  copy(from: number, to: number, tokens: number): void {
    const source = this.#slot(from);
    if (tokens > source.tokens) {
      throw new RangeError(`slot ${from} has ${source.tokens} tokens, not ${tokens}`);
    }
    const target = this.#slot(to);
    target.tokens = 0;
    append(target, source, 0, tokens);
  }

  #slot(index: number): Content {
    const slot = this.#slots[index];
    if (slot === undefined) throw new RangeError(`no slot ${index}`);
    return slot;
  }
}

/** Puts tokens [from, to) of `source` behind those of `target`. */
function append(target: Content, source: Content, from: number, to: number): void {
  const total = target.tokens + to - from;
  target.buffers.forEach(({ data, heads, dim }, i) => {
    const other = source.buffers[i];
    if (other === undefined) return;
    // The last head moves first: each moves up, over what has moved already.
    for (let head = heads - 1; head >= 0; head--) {
      const start = head * target.tokens * dim;
      data.copyWithin(head * total * dim, start, start + target.tokens * dim);
      const rows = head * source.tokens * dim;
      copyInto(
        data,
        other.data.subarray(rows + from * dim, rows + to * dim),
        (head * total + target.tokens) * dim,
      );
    }
  });
  target.tokens = total;
}

/** All buffers of a model are of one type. */
function copyInto(target: Data, source: Data, at: number): void {
  if (target instanceof Float32Array && source instanceof Float32Array) target.set(source, at);
  if (target instanceof Uint16Array && source instanceof Uint16Array) target.set(source, at);
}

/** Room for `capacity` tokens, cut out of one large block; its pages are touched when used. */
function content({ layers, kv }: GrowingKvShape, capacity: number): Content {
  const lengths = layers.flatMap(({ kvHeads, headDim }) => {
    const length = Math.ceil((kvHeads * capacity * headDim) / ALIGNED) * ALIGNED;
    return [length, length];
  });
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const block: Data = kv === "fp32" ? aligned(Float32Array, total) : aligned(Uint16Array, total);
  let at = 0;
  const buffers = lengths.map((length, i) => {
    const { kvHeads = 0, headDim = 0 } = layers[i >> 1] ?? {};
    at += length;
    return { data: block.subarray(at - length, at), heads: kvHeads, dim: headDim };
  });
  return { buffers, tokens: 0 };
}

function tensors({ buffers, tokens }: Content): Tensor[] {
  return buffers.map(({ data, heads, dim }) => new Tensor(data, [1, heads, tokens, dim]));
}

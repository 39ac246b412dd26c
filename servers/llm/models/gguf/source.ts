/**
 * The weights of a GGUF file, rows at a time, in the order the graph wants.
 *
 * GGUF's llama files hold the rows of q and k permuted for rotary over neighbours
 * (pairs 2i, 2i+1); the graph rotates halves (pairs i, i + d/2). Within each head
 * row a·d/2 + b of the graph is row 2b + a of the file, a in {0, 1}.
 */
import { type FileHandle, open } from "node:fs/promises";
import { ContixError } from "../../../../proto/errno.js";
import type { DecoderShape } from "../decoder-shape.js";
import type { Q8Rows } from "../quantize.js";
import type { WeightSource } from "../weights.js";
import type { GgufHeader, GgufTensor } from "./header.js";
import { ROTARY_FACTORS } from "./model.js";
import { GGML_TYPES, type GgmlType, unpack, unpackToQ8 } from "./types.js";

/** Opens the tensors of a file whose head was checked against `shape`. Close it. */
export async function openGgufWeights(
  header: GgufHeader,
  shape: DecoderShape,
): Promise<GgufWeights> {
  return new GgufWeights(header, shape.headDim, await open(header.path, "r"));
}

export class GgufWeights implements WeightSource, AsyncDisposable {
  readonly #header: GgufHeader;
  readonly #headDim: number;
  readonly #file: FileHandle;

  constructor(header: GgufHeader, headDim: number, file: FileHandle) {
    this.#header = header;
    this.#headDim = headDim;
    this.#file = file;
  }

  async rows(name: string, first: number, count: number): Promise<Float32Array> {
    const { type, packed } = await this.#packed(name, first, count);
    return unpack(type, packed);
  }

  async q8(name: string, first: number, count: number): Promise<Q8Rows> {
    const { type, packed } = await this.#packed(name, first, count);
    return unpackToQ8(type, packed);
  }

  async rotaryFactors(): Promise<Float32Array | undefined> {
    return this.#header.tensors.has(ROTARY_FACTORS) ? this.rows(ROTARY_FACTORS, 0, 1) : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #packed(name: string, first: number, count: number) {
    const tensor = this.#header.tensors.get(name);
    const type = tensor && GGML_TYPES.get(tensor.type);
    if (!type) throw new ContixError("EMODEL", `${this.#header.path} has no tensor "${name}"`);
    const permuted = /\.attn_[qk]\.weight$/.test(name);
    const packed = permuted
      ? await this.#permuted(tensor, type, first, count)
      : await this.#read(tensor, type, first, count);
    return { type, packed };
  }

  /** Packed rows [first, first + count) of the graph's order: whole heads are read, rows picked. */
  async #permuted(tensor: GgufTensor, type: GgmlType, first: number, count: number) {
    const d = this.#headDim;
    const from = Math.floor(first / d) * d;
    const to = Math.ceil((first + count) / d) * d;
    const heads = await this.#read(tensor, type, from, to - from);
    const bytes = heads.length / (to - from);
    const out = new Uint8Array(count * bytes);
    for (let i = 0; i < count; i++) {
      const row = (first + i) % d;
      const half = Math.floor(row / (d / 2));
      const stored = first + i - row + 2 * (row % (d / 2)) + half - from;
      out.set(heads.subarray(stored * bytes, (stored + 1) * bytes), i * bytes);
    }
    return out;
  }

  async #read(tensor: GgufTensor, type: GgmlType, first: number, count: number) {
    const row = ((tensor.shape[0] ?? 0) / type.values) * type.bytes;
    const out = new Uint8Array(row * count);
    for (let done = 0; done < out.length; ) {
      const at = tensor.offset + first * row + done;
      const { bytesRead } = await this.#file.read(out, done, out.length - done, at);
      if (bytesRead === 0) {
        const what = `ends at byte ${at}, within tensor "${tensor.name}"`;
        throw new ContixError("EMODEL", `${this.#header.path} ${what}`);
      }
      done += bytesRead;
    }
    return out;
  }
}

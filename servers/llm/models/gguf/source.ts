/**
 * The weights of a GGUF file, rows at a time, in the order the graph wants.
 *
 * Some families' files hold the rows of q and k, and their biases, permuted for rotary
 * over neighbours (pairs 2i, 2i+1); the graph rotates halves (pairs i, i + d/2). Within
 * each head row a·d/2 + b of the graph is row 2b + a of the file, a in {0, 1}.
 */
import { type FileHandle, open } from "node:fs/promises";
import { ContixError } from "../../../../proto/errno.js";
import type { DecoderShape } from "../decoder-shape.js";
import { type Q8Rows, quantizeQ8 } from "../quantize.js";
import type { WeightSource } from "../weights.js";
import type { GgufHeader, GgufTensor } from "./header.js";
import { familyOf } from "./model.js";
import { ROTARY_FACTORS } from "./tensors.js";
import { GGML_TYPES, type GgmlType, ownQ8, packedBytes, unpack } from "./types.js";

/** Opens the tensors of a file whose head was checked against `shape`. Close it. */
export async function openGgufWeights(
  header: GgufHeader,
  shape: DecoderShape,
): Promise<GgufWeights> {
  const interleaved = familyOf(header).interleaved ? shape.headDim : undefined;
  return new GgufWeights(header, interleaved, await open(header.path, "r"));
}

export class GgufWeights implements WeightSource, AsyncDisposable {
  readonly #header: GgufHeader;
  /** Rows of a head whose pairs are neighbours in the file; undefined where they are halves. */
  readonly #interleaved: number | undefined;
  readonly #file: FileHandle;

  constructor(header: GgufHeader, interleaved: number | undefined, file: FileHandle) {
    this.#header = header;
    this.#interleaved = interleaved;
    this.#file = file;
  }

  async rows(name: string, first: number, count: number): Promise<Float32Array> {
    const { type, packed } = await this.#packed(name, first, count);
    const values = this.#finite(name, unpack(type, packed));
    const d = this.#interleaved;
    if (d === undefined || !/\.attn_[qk]\.bias$/.test(name)) return values;
    return values.map((_, i) => values[storedRow(i, d)] ?? 0);
  }

  async q8(name: string, first: number, count: number): Promise<Q8Rows> {
    const { type, packed } = await this.#packed(name, first, count);
    const own = ownQ8(type, packed);
    const rows = own ?? quantizeQ8(this.#finite(name, unpack(type, packed)));
    this.#finite(name, rows.scales);
    return rows;
  }

  async rotaryFactors(): Promise<Float32Array | undefined> {
    if (!this.#header.tensors.has(ROTARY_FACTORS)) return undefined;
    const factors = await this.rows(ROTARY_FACTORS, 0, 1);
    if (factors.every((factor) => factor > 0)) return factors;
    const what = `holds a divisor of frequencies in tensor "${ROTARY_FACTORS}" that is not positive`;
    throw new ContixError("EMODEL", `${this.#header.path} ${what}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  /** A weight that is no number, or infinite, would spoil every answer without a word. */
  #finite(name: string, values: Float32Array): Float32Array {
    if (allFinite(values)) return values;
    const what = `holds a value in tensor "${name}" that is no finite number`;
    throw new ContixError("EMODEL", `${this.#header.path} ${what}`);
  }

  async #packed(name: string, first: number, count: number) {
    const tensor = this.#header.tensors.get(name);
    const type = tensor && GGML_TYPES.get(tensor.type);
    if (!type) throw new ContixError("EMODEL", `${this.#header.path} has no tensor "${name}"`);
    const d = this.#interleaved;
    const packed =
      d !== undefined && /\.attn_[qk]\.weight$/.test(name)
        ? await this.#permuted(tensor, type, first, count, d)
        : await this.#read(tensor, type, first, count);
    return { type, packed };
  }

  /** Packed rows [first, first + count) of the graph's order: whole heads are read, rows picked. */
  async #permuted(tensor: GgufTensor, type: GgmlType, first: number, count: number, d: number) {
    const from = Math.floor(first / d) * d;
    const to = Math.ceil((first + count) / d) * d;
    const heads = await this.#read(tensor, type, from, to - from);
    const bytes = heads.length / (to - from);
    const out = new Uint8Array(count * bytes);
    for (let i = 0; i < count; i++) {
      const stored = storedRow(first + i, d) - from;
      out.set(heads.subarray(stored * bytes, (stored + 1) * bytes), i * bytes);
    }
    return out;
  }

  async #read(tensor: GgufTensor, type: GgmlType, first: number, count: number) {
    const row = packedBytes(type, tensor.shape[0] ?? 0);
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

/** Where the file has the graph's row `i`, in heads of `d` rows. */
function storedRow(i: number, d: number): number {
  const row = i % d;
  return i - row + 2 * (row % (d / 2)) + Math.floor(row / (d / 2));
}

function allFinite(values: Float32Array): boolean {
  let sum = 0;
  // Zero times anything finite is zero; times the rest it is NaN, which stays.
  for (let i = 0; i < values.length; i++) sum += (values[i] ?? 0) * 0;
  return sum === 0;
}

/**
 * The tensor types of GGUF that can be read, one row each: how values are packed
 * in blocks, how they become floats, and, where q8 can hold them without a loss,
 * how they become q8. Layouts as in ggml's ggml-common.h (block_q4_0 and so on).
 */
import { Q8_BLOCK } from "../graph-weights.js";
import { emptyQ8, type Q8Rows, quantizeQ8 } from "../quantize.js";

export interface GgmlType {
  readonly name: string;
  /** Values and bytes of one block. */
  readonly values: number;
  readonly bytes: number;
  /** Unpacks whole blocks into `out`. */
  unpack(packed: DataView, out: Float32Array): void;
  /** Turns whole blocks into q8; without it, the floats are quantized. */
  toQ8?(packed: DataView): Q8Rows;
}

/** By the type's number in the file. */
export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map([
  [0, { name: "F32", values: 1, bytes: 4, unpack: unpackF32 }],
  [1, { name: "F16", values: 1, bytes: 2, unpack: unpackF16 }],
  [2, { name: "Q4_0", values: 32, bytes: 18, unpack: unpackQ40, toQ8: q8OfQ40 }],
  [3, { name: "Q4_1", values: 32, bytes: 20, unpack: unpackQ41 }],
  [8, { name: "Q8_0", values: 32, bytes: 34, unpack: unpackQ80, toQ8: q8OfQ80 }],
]);

/** Names of types that exist and are not read, for the message that says so. */
const OTHER_NAMES: Readonly<Record<number, string>> = {
  6: "Q5_0",
  7: "Q5_1",
  9: "Q8_1",
  10: "Q2_K",
  11: "Q3_K",
  12: "Q4_K",
  13: "Q5_K",
  14: "Q6_K",
  15: "Q8_K",
  16: "IQ2_XXS",
  17: "IQ2_XS",
  18: "IQ3_XXS",
  19: "IQ1_S",
  20: "IQ4_NL",
  21: "IQ3_S",
  22: "IQ2_S",
  23: "IQ4_XS",
  28: "F64",
  29: "IQ1_M",
  30: "BF16",
};

/** A type's name, as people write it, or its number. */
export function ggmlTypeName(type: number): string {
  return GGML_TYPES.get(type)?.name ?? OTHER_NAMES[type] ?? `number ${type}`;
}

/** Bytes of `values` values of a type; undefined for a type that is not read. */
export function ggmlBytes(type: number, values: number): number | undefined {
  const row = GGML_TYPES.get(type);
  return row && Math.ceil(values / row.values) * row.bytes;
}

/** Whole blocks of `type` as floats. */
export function unpack(type: GgmlType, packed: Uint8Array): Float32Array {
  const out = new Float32Array((packed.length / type.bytes) * type.values);
  type.unpack(viewOf(packed), out);
  return out;
}

/** Whole blocks of `type` as q8. */
export function unpackToQ8(type: GgmlType, packed: Uint8Array): Q8Rows {
  return type.toQ8?.(viewOf(packed)) ?? quantizeQ8(unpack(type, packed));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function unpackF32(packed: DataView, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = packed.getFloat32(i * 4, true);
}

function unpackF16(packed: DataView, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = half(packed.getUint16(i * 2, true));
}

/** f16 scale, 32 signed bytes: value = scale * byte. */
function unpackQ80(packed: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += 32, at += 34) {
    const scale = half(packed.getUint16(at, true));
    for (let j = 0; j < 32; j++) out[i + j] = scale * packed.getInt8(at + 2 + j);
  }
}

/** f16 scale, 16 bytes: value = scale * (nibble - 8). */
function unpackQ40(packed: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += 32, at += 18) {
    const scale = half(packed.getUint16(at, true));
    for (let j = 0; j < 16; j++) {
      const byte = packed.getUint8(at + 2 + j);
      out[i + j] = scale * ((byte & 15) - 8);
      out[i + j + 16] = scale * ((byte >> 4) - 8);
    }
  }
}

/** f16 scale, f16 minimum, 16 bytes: value = scale * nibble + minimum; low nibbles first. */
function unpackQ41(packed: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += 32, at += 20) {
    const scale = half(packed.getUint16(at, true));
    const minimum = half(packed.getUint16(at + 2, true));
    for (let j = 0; j < 16; j++) {
      const byte = packed.getUint8(at + 4 + j);
      out[i + j] = scale * (byte & 15) + minimum;
      out[i + j + 16] = scale * (byte >> 4) + minimum;
    }
  }
}

function q8OfQ80(packed: DataView): Q8Rows {
  const out = emptyQ8((packed.byteLength / 34) * Q8_BLOCK);
  out.zeros.fill(128);
  for (let block = 0, at = 0; block < out.scales.length; block++, at += 34) {
    out.scales[block] = half(packed.getUint16(at, true));
    for (let j = 0; j < 32; j++) out.bytes[block * 32 + j] = packed.getInt8(at + 2 + j) + 128;
  }
  return out;
}

function q8OfQ40(packed: DataView): Q8Rows {
  const out = emptyQ8((packed.byteLength / 18) * Q8_BLOCK);
  out.zeros.fill(8);
  for (let block = 0, at = 0; block < out.scales.length; block++, at += 18) {
    out.scales[block] = half(packed.getUint16(at, true));
    for (let j = 0; j < 16; j++) {
      const byte = packed.getUint8(at + 2 + j);
      out.bytes[block * 32 + j] = byte & 15;
      out.bytes[block * 32 + j + 16] = byte >> 4;
    }
  }
  return out;
}

/** The value of an IEEE 754 half. */
function half(bits: number): number {
  return HALVES[bits] ?? 0;
}

const HALVES = Float32Array.from({ length: 65_536 }, (_, bits) => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
});

/** Packs floats as ggml tensor types, the simple way; for tests. */
import { half, rounded } from "./pack-half.js";
import { K_BLOCK } from "./pack-k.js";

/** Ids of ggml types. */
export const TYPE = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 6,
  Q5_1: 7,
  Q8_0: 8,
  Q2_K: 10,
  Q3_K: 11,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  BF16: 30,
} as const;
export type TypeName = keyof typeof TYPE;

/** The bytes of `values` (whole blocks) in a type. */
export function pack(type: TypeName, values: Float32Array): Uint8Array {
  switch (type) {
    case "F32":
      return new Uint8Array(values.slice().buffer);
    case "F16":
      return Buffer.concat([...values].map(half));
    case "BF16":
      return Buffer.concat([...values].map(bfloat));
    default: {
      const size = type.endsWith("K") ? 256 : 32;
      const blocks = Array.from({ length: values.length / size }, (_, i) =>
        BLOCK[type](values.subarray(i * size, (i + 1) * size)),
      );
      return Buffer.concat(blocks);
    }
  }
}

type Blocked = Exclude<TypeName, "F32" | "F16" | "BF16">;

const BLOCK: Readonly<Record<Blocked, (values: Float32Array) => Buffer>> = {
  ...K_BLOCK,
  Q8_0: (values) => {
    const scale = rounded(Math.max(...values.map(Math.abs)) / 127);
    return Buffer.concat([half(scale), Buffer.from(values.map((v) => Math.round(v / scale) || 0))]);
  },
  Q4_0: (values) => {
    const scale = rounded(Math.max(...values.map(Math.abs)) / 7);
    return Buffer.concat([half(scale), nibbles(levels(values, 15, (v) => v / scale + 8))]);
  },
  Q4_1: (values) => {
    const { low, scale } = range(values, 15);
    const of = levels(values, 15, (v) => (v - low) / scale);
    return Buffer.concat([half(scale), half(low), nibbles(of)]);
  },
  Q5_0: (values) => {
    const scale = rounded(Math.max(...values.map(Math.abs)) / 15);
    const of = levels(values, 31, (v) => v / scale + 16);
    return Buffer.concat([half(scale), fifths(of), nibbles(of)]);
  },
  Q5_1: (values) => {
    const { low, scale } = range(values, 31);
    const of = levels(values, 31, (v) => (v - low) / scale);
    return Buffer.concat([half(scale), half(low), fifths(of), nibbles(of)]);
  },
};

function range(values: Float32Array, top: number): { low: number; scale: number } {
  const low = rounded(Math.min(...values));
  return { low, scale: rounded((Math.max(...values) - low) / top) };
}

function levels(values: Float32Array, top: number, level: (value: number) => number): number[] {
  return [...values].map((v) => Math.min(top, Math.max(0, Math.round(level(v)) || 0)));
}

/** Values 0 to 15 in the low nibbles, 16 to 31 in the high ones. */
function nibbles(of: readonly number[]): Buffer {
  return Buffer.from(of.slice(0, 16).map((low, i) => (low & 15) | (((of[i + 16] ?? 0) & 15) << 4)));
}

/** The fifth bit of each of 32 values. */
function fifths(of: readonly number[]): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(of.reduce((bits, level, i) => bits | ((level >> 4) << i), 0) >>> 0);
  return out;
}

/** The upper half of a float, the rest cut off. */
function bfloat(value: number): Buffer {
  const float = Buffer.alloc(4);
  float.writeFloatLE(value);
  return float.subarray(2);
}

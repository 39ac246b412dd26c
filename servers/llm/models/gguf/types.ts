/**
 * The tensor types of GGUF that can be read: the table. To add one, write it in the
 * file of its family and give it a row here.
 */
import { type Q8Rows, quantizeQ8 } from "../quantize.js";
import type { GgmlType } from "./types-block.js";
import { BF16, F16, F32 } from "./types-floats.js";
import { Q2_K, Q3_K, Q4_K, Q5_K, Q6_K } from "./types-k.js";
import { Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from "./types-legacy.js";

export type { GgmlType } from "./types-block.js";

/** By the type's number in the file. */
export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map([
  [0, F32],
  [1, F16],
  [2, Q4_0],
  [3, Q4_1],
  [6, Q5_0],
  [7, Q5_1],
  [8, Q8_0],
  [10, Q2_K],
  [11, Q3_K],
  [12, Q4_K],
  [13, Q5_K],
  [14, Q6_K],
  [30, BF16],
]);

/** Names of types that exist and are not read, for the message that says so. */
const OTHER_NAMES: Readonly<Record<number, string>> = {
  9: "Q8_1",
  15: "Q8_K",
  16: "IQ2_XXS",
  17: "IQ2_XS",
  18: "IQ3_XXS",
  19: "IQ1_S",
  20: "IQ4_NL",
  21: "IQ3_S",
  22: "IQ2_S",
  23: "IQ4_XS",
  24: "I8",
  25: "I16",
  26: "I32",
  27: "I64",
  28: "F64",
  29: "IQ1_M",
  34: "TQ1_0",
  35: "TQ2_0",
  39: "MXFP4",
};

/** A type's name, as people write it, or its number. */
export function ggmlTypeName(type: number): string {
  return GGML_TYPES.get(type)?.name ?? OTHER_NAMES[type] ?? `number ${type}`;
}

/** Bytes of `values` values, a whole number of blocks. */
export function packedBytes(type: GgmlType, values: number): number {
  return (values / type.values) * type.bytes;
}

/** Whole blocks of `type` as floats. */
export function unpack(type: GgmlType, packed: Uint8Array): Float32Array {
  const out = new Float32Array((packed.length / type.bytes) * type.values);
  type.unpack(viewOf(packed), out);
  return out;
}

/** Whole blocks of `type` as q8 by a way of its own, where it has one. */
export function ownQ8(type: GgmlType, packed: Uint8Array): Q8Rows | undefined {
  return type.toQ8?.(viewOf(packed));
}

/** Whole blocks of `type` as q8. */
export function unpackToQ8(type: GgmlType, packed: Uint8Array): Q8Rows {
  return ownQ8(type, packed) ?? quantizeQ8(unpack(type, packed));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

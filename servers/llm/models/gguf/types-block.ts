/** What a tensor type of GGUF is; the types themselves are in types.ts. */
import type { Q8Rows } from "../quantize.js";

/**
 * One tensor type: how values are packed in blocks, how they become floats, and, where
 * that is better than to quantize those floats, how they become q8. Both work on any
 * number of whole blocks and allocate nothing for a value.
 */
export interface GgmlType {
  readonly name: string;
  /** Values and bytes of one block. */
  readonly values: number;
  readonly bytes: number;
  /** Unpacks whole blocks into `out`. */
  unpack(packed: DataView, out: Float32Array): void;
  /** Turns whole blocks into q8: the same values, or nearer than the floats quantized. */
  toQ8?(packed: DataView): Q8Rows;
}

/** The bytes under a view; files and the machines we run on are little-endian. */
export function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

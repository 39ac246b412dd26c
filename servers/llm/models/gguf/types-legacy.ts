/**
 * The tensor types of GGUF with blocks of 32 values and one scale a block: Q4_0,
 * Q4_1, Q5_0, Q5_1, Q8_0. Layouts as in ggml's ggml-common.h (block_q4_0 and so on).
 *
 * A half times a few bits is exact in a float, and the sum of two such products in
 * a double: a value is rounded once, where it is stored, as in ggml.
 */
import { Q8_BLOCK } from "../graph-weights.js";
import { emptyQ8, type Q8Rows } from "../quantize.js";
import type { GgmlType } from "./types-block.js";
import { half } from "./types-floats.js";
import { addMinimum } from "./types-minimum.js";

/** value = d * (4 bits - 8) */
export const Q4_0 = levelType({ name: "Q4_0", bytes: 18, levels: 2, zero: 8 });
/** value = d * 4 bits + m */
export const Q4_1 = levelType({ name: "Q4_1", bytes: 20, levels: 4, zero: 0, minimum: 2 });
/** value = d * (5 bits - 16) */
export const Q5_0 = levelType({ name: "Q5_0", bytes: 22, levels: 6, zero: 16, fifth: 2 });
/** value = d * 5 bits + m */
export const Q5_1 = levelType({
  name: "Q5_1",
  bytes: 24,
  levels: 8,
  zero: 0,
  minimum: 2,
  fifth: 4,
});

/** value = d * signed byte */
export const Q8_0: GgmlType = {
  name: "Q8_0",
  values: Q8_BLOCK,
  bytes: 34,
  unpack: unpackQ80,
  toQ8: q8OfQ80,
};

/**
 * Where things are in a block whose levels have 4 or 5 bits. Byte j of `levels`
 * holds value j in its low nibble and value j + 16 in its high one.
 */
interface LevelLayout {
  readonly name: string;
  /** Of a block, which begins with the half d. */
  readonly bytes: number;
  /** Where the 16 bytes of nibbles begin. */
  readonly levels: number;
  /** The level that means zero. */
  readonly zero: number;
  /** Where the half m is. */
  readonly minimum?: number;
  /** Where the 32 fifth bits are. */
  readonly fifth?: number;
}

function levelType(layout: LevelLayout): GgmlType {
  return {
    name: layout.name,
    values: Q8_BLOCK,
    bytes: layout.bytes,
    unpack: (packed, out) => unpackLevels(layout, packed, out),
    toQ8: (packed) => q8OfLevels(layout, packed),
  };
}

function unpackLevels(layout: LevelLayout, packed: DataView, out: Float32Array): void {
  const { bytes, levels, zero, minimum, fifth } = layout;
  for (let i = 0, at = 0; i < out.length; i += Q8_BLOCK, at += bytes) {
    const d = half(packed.getUint16(at, true));
    // Adding -0 changes nothing, not even the sign of a zero.
    const m = minimum === undefined ? -0 : half(packed.getUint16(at + minimum, true));
    const high = fifth === undefined ? 0 : packed.getUint32(at + fifth, true);
    for (let j = 0; j < 16; j++) {
      const byte = packed.getUint8(at + levels + j);
      out[i + j] = d * (lowLevel(byte, high, j) - zero) + m;
      out[i + j + 16] = d * (highLevel(byte, high, j) - zero) + m;
    }
  }
}

/**
 * Without a minimum, q8 holds the very same values: its zero point is the level of
 * zero. With one, see types-minimum.ts.
 */
function q8OfLevels(layout: LevelLayout, packed: DataView): Q8Rows {
  const { bytes, levels, zero, minimum, fifth } = layout;
  const out = emptyQ8((packed.byteLength / bytes) * Q8_BLOCK);
  const top = fifth === undefined ? 15 : 31;
  for (let block = 0, at = 0; block < out.scales.length; block++, at += bytes) {
    const high = fifth === undefined ? 0 : packed.getUint32(at + fifth, true);
    for (let j = 0, i = block * Q8_BLOCK; j < 16; j++, i++) {
      const byte = packed.getUint8(at + levels + j);
      out.bytes[i] = lowLevel(byte, high, j);
      out.bytes[i + 16] = highLevel(byte, high, j);
    }
    out.scales[block] = half(packed.getUint16(at, true));
    out.zeros[block] = zero;
    if (minimum !== undefined)
      addMinimum(out, block, half(packed.getUint16(at + minimum, true)), top);
  }
  return out;
}

/** Value j of a block. */
function lowLevel(byte: number, fifth: number, j: number): number {
  return (byte & 15) | (((fifth >>> j) & 1) << 4);
}

/** Value j + 16 of a block. */
function highLevel(byte: number, fifth: number, j: number): number {
  return (byte >> 4) | (((fifth >>> (j + 16)) & 1) << 4);
}

function unpackQ80(packed: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += Q8_BLOCK, at += 34) {
    const d = half(packed.getUint16(at, true));
    for (let j = 0; j < Q8_BLOCK; j++) out[i + j] = d * packed.getInt8(at + 2 + j);
  }
}

function q8OfQ80(packed: DataView): Q8Rows {
  const out = emptyQ8((packed.byteLength / 34) * Q8_BLOCK);
  out.zeros.fill(128);
  for (let block = 0, at = 0; block < out.scales.length; block++, at += 34) {
    out.scales[block] = half(packed.getUint16(at, true));
    const i = block * Q8_BLOCK;
    for (let j = 0; j < Q8_BLOCK; j++) out.bytes[i + j] = packed.getInt8(at + 2 + j) + 128;
  }
  return out;
}

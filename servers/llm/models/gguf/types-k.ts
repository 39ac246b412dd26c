/**
 * The tensor types of GGUF with blocks of 256 values, in groups of 16 or 32 whose
 * scales are themselves a few bits times the block's half: Q2_K, Q3_K, Q4_K, Q5_K,
 * Q6_K. Layouts as in ggml's ggml-common.h (block_q2_K and so on).
 *
 * Every product here has at most 23 significant bits and every difference of two at
 * most 51: a value is rounded once, where it is stored, as in ggml.
 *
 * q8 has blocks of 32 with a scale of its own: where a type's groups are 16 values
 * or have minimums, q8 can not hold its values exactly, so none of these has a toQ8.
 */
import type { GgmlType } from "./types-block.js";
import { half } from "./types-floats.js";

/** Values of a block. */
const K = 256;

export const Q2_K: GgmlType = { name: "Q2_K", values: K, bytes: 84, unpack: unpackQ2 };
export const Q3_K: GgmlType = { name: "Q3_K", values: K, bytes: 110, unpack: unpackQ3 };
export const Q4_K: GgmlType = { name: "Q4_K", values: K, bytes: 144, unpack: unpackQ4 };
export const Q5_K: GgmlType = { name: "Q5_K", values: K, bytes: 176, unpack: unpackQ5 };
export const Q6_K: GgmlType = { name: "Q6_K", values: K, bytes: 210, unpack: unpackQ6 };

/**
 * 16 bytes (low nibble scale, high nibble minimum, of 16 values each), 64 bytes of
 * levels, d, dmin. Byte j of the levels' half h holds values 128h + 32s + j in its
 * bits 2s, 2s + 1.
 */
function unpackQ2(packed: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += K, at += 84) {
    const d = half(packed.getUint16(at + 80, true));
    const dmin = half(packed.getUint16(at + 82, true));
    for (let group = 0; group < 16; group++) {
      const byte = packed.getUint8(at + group);
      const scale = d * (byte & 15);
      const minimum = dmin * (byte >> 4);
      const levels = at + 16 + levelByte(group);
      const shift = levelShift(group);
      const to = i + group * 16;
      for (let j = 0; j < 16; j++) {
        out[to + j] = scale * ((packed.getUint8(levels + j) >> shift) & 3) - minimum;
      }
    }
  }
}

/**
 * 32 bytes of third bits (value 32b + j is bit b of byte j; a bit that is not set
 * means minus 4), 64 bytes of levels as in Q2_K, 12 bytes of scales, d.
 */
function unpackQ3(packed: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += K, at += 110) {
    const d = half(packed.getUint16(at + 108, true));
    for (let group = 0; group < 16; group++) {
      const scale = d * (scaleOfQ3(packed, at + 96, group) - 32);
      const levels = at + 32 + levelByte(group);
      const shift = levelShift(group);
      const thirds = at + (group & 1) * 16;
      const bit = group >> 1;
      const to = i + group * 16;
      for (let j = 0; j < 16; j++) {
        const third = (packed.getUint8(thirds + j) >> bit) & 1;
        const level = (packed.getUint8(levels + j) >> shift) & 3;
        out[to + j] = scale * (level + third * 4 - 4);
      }
    }
  }
}

/** The first of the 16 bytes that hold the levels of a group of Q2_K or Q3_K. */
function levelByte(group: number): number {
  return (group >> 3) * 32 + (group & 1) * 16;
}

/** The bits within those bytes. */
function levelShift(group: number): number {
  return ((group >> 1) & 3) * 2;
}

/** Six bits: four in a nibble of bytes 0 to 7, two in bytes 8 to 11. */
function scaleOfQ3(packed: DataView, at: number, group: number): number {
  const low = packed.getUint8(at + (group & 7)) >> ((group >> 3) * 4);
  const high = packed.getUint8(at + 8 + (group & 3)) >> ((group >> 2) * 2);
  return (low & 15) | ((high & 3) << 4);
}

/**
 * d, dmin, 12 bytes of scales and minimums of 32 values each, 128 bytes of levels:
 * byte j of quarter q holds values 64q + j (low nibble) and 64q + 32 + j (high).
 */
function unpackQ4(packed: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += K, at += 144) {
    const d = half(packed.getUint16(at, true));
    const dmin = half(packed.getUint16(at + 2, true));
    for (let group = 0; group < 8; group++) {
      const scale = d * scaleOfQ4(packed, at + 4, group);
      const minimum = dmin * minimumOfQ4(packed, at + 4, group);
      const levels = at + 16 + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      const to = i + group * 32;
      for (let j = 0; j < 32; j++) {
        out[to + j] = scale * ((packed.getUint8(levels + j) >> shift) & 15) - minimum;
      }
    }
  }
}

/** As Q4_K, with 32 bytes before the levels: value 32b + j has its fifth bit in bit b of byte j. */
function unpackQ5(packed: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += K, at += 176) {
    const d = half(packed.getUint16(at, true));
    const dmin = half(packed.getUint16(at + 2, true));
    for (let group = 0; group < 8; group++) {
      const scale = d * scaleOfQ4(packed, at + 4, group);
      const minimum = dmin * minimumOfQ4(packed, at + 4, group);
      const levels = at + 48 + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      const to = i + group * 32;
      for (let j = 0; j < 32; j++) {
        const low = (packed.getUint8(levels + j) >> shift) & 15;
        const fifth = (packed.getUint8(at + 16 + j) >> group) & 1;
        out[to + j] = scale * (low | (fifth << 4)) - minimum;
      }
    }
  }
}

/** Six bits: groups 0 to 3 in a byte of their own, 4 to 7 in a nibble and the bits left over. */
function scaleOfQ4(packed: DataView, at: number, group: number): number {
  if (group < 4) return packed.getUint8(at + group) & 63;
  return (packed.getUint8(at + 4 + group) & 15) | ((packed.getUint8(at + group - 4) >> 6) << 4);
}

function minimumOfQ4(packed: DataView, at: number, group: number): number {
  if (group < 4) return packed.getUint8(at + 4 + group) & 63;
  return (packed.getUint8(at + 4 + group) >> 4) | ((packed.getUint8(at + group) >> 6) << 4);
}

/**
 * 128 bytes of low nibbles (byte j of half h: values 128h + j and 128h + 64 + j),
 * 64 bytes of fifth and sixth bits (as the levels of Q2_K), 16 signed scales of 16
 * values each, d. value = d * scale * (level - 32).
 */
function unpackQ6(packed: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += K, at += 210) {
    const d = half(packed.getUint16(at + 208, true));
    for (let group = 0; group < 16; group++) {
      const scale = d * packed.getInt8(at + 192 + group);
      const lows = at + (group >> 3) * 64 + (group & 3) * 16;
      const lowShift = ((group >> 2) & 1) * 4;
      const highs = at + 128 + levelByte(group);
      const highShift = levelShift(group);
      const to = i + group * 16;
      for (let j = 0; j < 16; j++) {
        const low = (packed.getUint8(lows + j) >> lowShift) & 15;
        const high = (packed.getUint8(highs + j) >> highShift) & 3;
        out[to + j] = scale * ((low | (high << 4)) - 32);
      }
    }
  }
}

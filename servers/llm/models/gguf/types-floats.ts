/** The tensor types of GGUF that are plain floats: F32, F16, BF16. */
import { bytesOf, type GgmlType } from "./types-block.js";

export const F32: GgmlType = { name: "F32", values: 1, bytes: 4, unpack: unpackF32 };
export const F16: GgmlType = { name: "F16", values: 1, bytes: 2, unpack: unpackF16 };
export const BF16: GgmlType = { name: "BF16", values: 1, bytes: 2, unpack: unpackBF16 };

/** The value of an IEEE 754 half. */
export function half(bits: number): number {
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

function unpackF32(packed: DataView, out: Float32Array): void {
  bytesOf(out).set(bytesOf(packed));
}

function unpackF16(packed: DataView, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = half(packed.getUint16(i * 2, true));
}

/** The upper half of a float, whose lower one is zero. */
function unpackBF16(packed: DataView, out: Float32Array): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < bits.length; i++) bits[i] = packed.getUint16(i * 2, true) << 16;
}

/**
 * Quantization to q8 blocks: value = (byte - zero) * scale, 32 values a block.
 */
import { Q8_BLOCK } from "./graph-weights.js";

/** Rows of a matrix in q8: bytes [rows, cols], one scale and one zero point a block. */
export interface Q8Rows {
  readonly bytes: Uint8Array;
  readonly scales: Float32Array;
  readonly zeros: Uint8Array;
}

/** Empty q8 rows for `values` values, a whole number of blocks. */
export function emptyQ8(values: number): Q8Rows {
  const blocks = values / Q8_BLOCK;
  return {
    bytes: new Uint8Array(values),
    scales: new Float32Array(blocks),
    zeros: new Uint8Array(blocks),
  };
}

/**
 * Quantizes whole blocks of floats: 255 steps from the block's least value to
 * its greatest, stretched to hold zero (the zero point is a byte).
 */
export function quantizeQ8(values: Float32Array): Q8Rows {
  const out = emptyQ8(values.length);
  for (let block = 0; block < out.scales.length; block++) quantizeBlock(values, block, out);
  return out;
}

function quantizeBlock(values: Float32Array, block: number, out: Q8Rows): void {
  const start = block * Q8_BLOCK;
  let low = 0;
  let high = 0;
  for (let i = start; i < start + Q8_BLOCK; i++) {
    const value = values[i] ?? 0;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  // A block of zeros needs some scale that is not zero.
  const scale = Math.fround((high - low) / 255) || 1;
  const zero = Math.round(-low / scale);
  out.scales[block] = scale;
  out.zeros[block] = zero;
  for (let i = start; i < start + Q8_BLOCK; i++) {
    const byte = Math.round((values[i] ?? 0) / scale) + zero;
    out.bytes[i] = Math.min(255, Math.max(0, byte));
  }
}

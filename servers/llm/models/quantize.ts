/**
 * Quantization of weights. q8: value = (byte - zero) * scale, 32 values a block.
 * int8: value = byte * scale, one scale for a whole row.
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

/** The least normal float: those below it have too few bits to count steps by. */
const LEAST_SCALE = 2 ** -126;

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
  const scale = high === low ? 1 : Math.max(Math.fround((high - low) / 255), LEAST_SCALE);
  const zero = Math.min(255, Math.round(-low / scale));
  out.scales[block] = scale;
  out.zeros[block] = zero;
  for (let i = start; i < start + Q8_BLOCK; i++) {
    const byte = Math.round((values[i] ?? 0) / scale) + zero;
    out.bytes[i] = Math.min(255, Math.max(0, byte));
  }
}

/** The greatest byte of int8: -128 is left out, so that both sides are alike. */
export const INT8_MOST = 127;

/** Rows of a matrix in int8, transposed: bytes [inputs, outputs], a scale for each output. */
export class Int8Columns {
  readonly bytes: Int8Array;
  readonly scales: Float32Array;
  readonly #inputs: number;

  constructor(inputs: number, outputs: number) {
    this.#inputs = inputs;
    this.bytes = new Int8Array(inputs * outputs);
    this.scales = new Float32Array(outputs);
  }

  /** Takes rows first, first + 1, … of the matrix. */
  put(first: number, rows: Float32Array): void {
    const inputs = this.#inputs;
    const count = rows.length / inputs;
    const bytes = new Int8Array(rows.length);
    for (let row = 0; row < count; row++) {
      const at = row * inputs;
      const output = bytes.subarray(at, at + inputs);
      this.scales[first + row] = quantizeRow(rows.subarray(at, at + inputs), output);
    }
    // Runs of neighbours in the target: the other way around takes five times as long.
    for (let i = 0; i < inputs; i++) {
      const target = i * this.scales.length + first;
      for (let row = 0; row < count; row++) {
        this.bytes[target + row] = bytes[row * inputs + i] ?? 0;
      }
    }
  }
}

/** Writes the bytes of a row; returns its scale. */
function quantizeRow(row: Float32Array, bytes: Int8Array): number {
  let most = 0;
  for (let i = 0; i < row.length; i++) {
    const size = Math.abs(row[i] ?? 0);
    if (size > most) most = size;
  }
  // A row of zeros needs some scale that is not zero.
  const scale = Math.fround(most / INT8_MOST) || 1;
  for (let i = 0; i < row.length; i++) {
    const byte = Math.round((row[i] ?? 0) / scale);
    bytes[i] = byte > INT8_MOST ? INT8_MOST : byte < -INT8_MOST ? -INT8_MOST : byte;
  }
  return scale;
}

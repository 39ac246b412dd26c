/**
 * Blocks with a minimum (value = d * level + m) as q8, whose zero point is a whole
 * number of steps.
 *
 * The levels are kept, spread by a whole factor r: value = (r * level - z) * (d / r)
 * with z = -m * r / d rounded. All that is lost is that rounding, the same for every
 * value of the block. Of the factors that fit a byte the one that loses least is taken:
 * on the Q4_1 weights of SmolLM2-135M that leaves 0.4 of the error that quantizing the
 * floats anew would make.
 */
import { Q8_BLOCK } from "../graph-weights.js";
import { type Q8Rows, quantizeQ8 } from "../quantize.js";

/** The greatest byte of q8. */
const TOP = 255;

/**
 * Gives a block of q8, which holds levels up to `top` and the scale d, the minimum `m`.
 * A scale that is not finite stays so.
 */
export function addMinimum(rows: Q8Rows, block: number, m: number, top: number): void {
  const d = rows.scales[block] ?? 0;
  if (!Number.isFinite(d * m)) {
    rows.scales[block] = Number.NaN;
    return;
  }
  const factor = d === 0 ? 0 : bestFactor(m / d, Math.floor(TOP / top));
  if (factor === 0) {
    requantize(rows, block, d, m);
    return;
  }
  rows.scales[block] = d / factor;
  rows.zeros[block] = Math.round((-m / d) * factor);
  const start = block * Q8_BLOCK;
  for (let i = start; i < start + Q8_BLOCK; i++) rows.bytes[i] = (rows.bytes[i] ?? 0) * factor;
}

/** The factor from 1 to `most` that loses least; 0 when zero is too far for every one. */
function bestFactor(minimum: number, most: number): number {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let factor = 1; factor <= most; factor++) {
    const exact = -minimum * factor;
    const zero = Math.round(exact);
    const loss = Math.abs(exact - zero) / factor;
    if (zero < 0 || zero > TOP || loss >= least) continue;
    best = factor;
    least = loss;
  }
  return best;
}

/** For what has no zero within reach of its levels, which weights seldom have. */
function requantize(rows: Q8Rows, block: number, d: number, m: number): void {
  const start = block * Q8_BLOCK;
  const levels = rows.bytes.subarray(start, start + Q8_BLOCK);
  const own = quantizeQ8(Float32Array.from(levels, (level) => d * level + m));
  levels.set(own.bytes);
  rows.scales.set(own.scales, block);
  rows.zeros.set(own.zeros, block);
}

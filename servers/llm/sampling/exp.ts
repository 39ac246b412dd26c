/**
 * exp(x) for x <= 0 out of IEEE additions, multiplications and square roots alone.
 * Math.exp may differ in its last bit from one JavaScript engine to the next, and a
 * sampled token must not (law 2); this one is the same everywhere, and faster.
 *
 * exp(x) = 2^(-k/32) * exp(r) with k = round(-x * 32 / ln 2), so |r| <= ln 2 / 64: a
 * table, and a Taylor polynomial of degree 4 whose relative error is below 2e-12.
 */

const STEPS = 32;
const PER_STEP = STEPS / Math.LN2;
const STEP = Math.LN2 / STEPS;

/** Below this the weight is 0: 49,152 tokens there weigh less than 1e-15 of the likeliest. */
export const LIGHTEST = -46;

/** 2^(-i/32) for i = 0, 1, ... down to exp(LIGHTEST). */
const TABLE = table(Math.ceil(-LIGHTEST * PER_STEP) + 1);

function table(length: number): Float64Array {
  let root = 0.5;
  for (let i = STEPS; i > 1; i /= 2) root = Math.sqrt(root);
  const values = new Float64Array(length);
  let octave = 1;
  let value = 1;
  for (let i = 0; i < length; i++) {
    values[i] = value;
    value *= root;
    if (i % STEPS === STEPS - 1) {
      // Halving is exact, so no error adds up beyond 31 products.
      octave /= 2;
      value = octave;
    }
  }
  return values;
}

/** exp(x) for x <= 0, relative error below 2e-12; 0 when x < -46 or x is NaN. */
export function weight(x: number): number {
  if (!(x >= LIGHTEST)) return 0;
  const k = (0.5 - x * PER_STEP) | 0;
  const r = x + k * STEP;
  const r2 = r * r;
  return (TABLE[k] ?? 0) * (1 + (r + r2 * (1 / 2 + r * (1 / 6) + r2 * (1 / 24))));
}

import fc from "fast-check";
import { expect, it } from "vitest";
import { Q8_BLOCK } from "./graph-weights.js";
import { quantizeQ8 } from "./quantize.js";

const value = fc.double({ min: -100, max: 100, noNaN: true });
const blocks = fc
  .array(value, { minLength: 2 * Q8_BLOCK, maxLength: 2 * Q8_BLOCK })
  .map((values) => Float32Array.from(values));

it("is never off by more than a step, and holds zero exactly", () => {
  fc.assert(
    fc.property(blocks, (values) => {
      const { bytes, scales, zeros } = quantizeQ8(values);
      for (const [i, original] of values.entries()) {
        const block = Math.floor(i / Q8_BLOCK);
        const scale = scales[block] ?? 0;
        const back = ((bytes[i] ?? 0) - (zeros[block] ?? 0)) * scale;
        expect(Math.abs(back - original)).toBeLessThanOrEqual(scale * 1.001);
        if (original === 0) expect(back === 0).toBe(true);
      }
    }),
  );
});

it("takes numbers below the least normal float for zero", () => {
  const values = new Float32Array(Q8_BLOCK).fill(-3.60133705331478e-43, 5, 6);
  const { scales, zeros, bytes } = quantizeQ8(values);
  expect([scales[0], zeros[0], ...new Set(bytes)]).toEqual([2 ** -126, 0, 0]);
});

it("gives a block of zeros a scale that divides nothing by zero", () => {
  const { bytes, scales, zeros } = quantizeQ8(new Float32Array(Q8_BLOCK));
  expect([scales[0], zeros[0], ...new Set(bytes)]).toEqual([1, 0, 0]);
});

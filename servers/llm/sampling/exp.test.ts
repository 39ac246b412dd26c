import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { weight } from "./exp.js";

describe("weight", () => {
  it("is exp to 11 digits", () => {
    fc.assert(
      fc.property(fc.double({ min: -46, max: 0, noNaN: true }), (x) => {
        expect(Math.abs(weight(x) / Math.exp(x) - 1)).toBeLessThan(2e-12);
      }),
      { numRuns: 2000 },
    );
  });

  it("is exactly 1 at 0, and 0 where it cannot matter", () => {
    expect(weight(0)).toBe(1);
    expect(weight(-0)).toBe(1);
    expect(weight(-46.001)).toBe(0);
    expect(weight(Number.NEGATIVE_INFINITY)).toBe(0);
    expect(weight(Number.NaN)).toBe(0);
  });

  it("keeps its bits", () => {
    // Pinned: a change here changes what every seed samples.
    expect([-0.1, -1, -2.5, -10, -45.5].map(weight)).toMatchInlineSnapshot(`
      [
        0.9048374180356638,
        0.367879441171444,
        0.08208499862393946,
        0.00004539992976247698,
        1.736205283099214e-20,
      ]
    `);
  });
});

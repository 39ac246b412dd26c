import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pairedRatio, percentile, summarize } from "./stats.js";

const samples = fc.array(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), { minLength: 1 });

describe("summarize", () => {
  it("takes the middle, or the mean of the two in the middle", () => {
    expect(summarize([3, 1, 2])).toMatchObject({ median: 2, min: 1, max: 3 });
    expect(summarize([4, 1, 3, 2])).toMatchObject({ median: 2.5, min: 1, max: 4 });
  });

  it("keeps the samples in the order they were taken", () => {
    expect(summarize([3, 1, 2]).samples).toEqual([3, 1, 2]);
  });

  it("has at least half of the samples on either side of the median", () => {
    fc.assert(
      fc.property(samples, (xs) => {
        const { median, min, max } = summarize(xs);
        expect(xs.filter((x) => x <= median).length * 2).toBeGreaterThanOrEqual(xs.length);
        expect(xs.filter((x) => x >= median).length * 2).toBeGreaterThanOrEqual(xs.length);
        expect(min).toBeLessThanOrEqual(median);
        expect(max).toBeGreaterThanOrEqual(median);
      }),
    );
  });

  it("refuses a run that gave no number", () => {
    expect(() => summarize([])).toThrow("no samples");
    expect(() => summarize([1, Number.NaN])).toThrow("NaN");
    expect(() => summarize([1, Number.POSITIVE_INFINITY])).toThrow("Infinity");
  });
});

describe("pairedRatio", () => {
  it("compares round by round, so that a slow round of both sides changes nothing", () => {
    expect(pairedRatio([20, 10, 40], [10, 5, 20])).toMatchObject({ median: 2, min: 2, max: 2 });
  });

  it("refuses sides of unequal length", () => {
    expect(() => pairedRatio([1, 2], [1])).toThrow("2 samples against 1");
  });

  it("refuses a side that did nothing", () => {
    expect(() => pairedRatio([1], [0])).toThrow(RangeError);
  });
});

describe("percentile", () => {
  it("is the least sample that the share of all is not above", () => {
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect([0, 0.5, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([1, 50, 99, 100]);
    expect(percentile([], 0.5)).toBeNaN();
  });
});

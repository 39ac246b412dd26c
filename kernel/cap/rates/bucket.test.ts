import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Bucket, capacity } from "./bucket.js";

const SECOND = 1_000_000;
const rates = fc.double({ min: 0.1, max: 100_000, noNaN: true });

describe("a bucket", () => {
  it("is full at first, and holds what one second brings", () => {
    const bucket = new Bucket();
    expect(bucket.level(5, 50)).toBe(50);
    expect(capacity(0.5)).toBe(1);
    bucket.charge(5, 50, 50);
    expect(bucket.level(5 + SECOND / 2, 50)).toBeCloseTo(25);
    expect(bucket.level(5 + 99 * SECOND, 50)).toBe(50);
  });

  it("never lets through more than its rate and what it held", () => {
    fc.assert(
      fc.property(rates, fc.array(fc.nat(50_000), { minLength: 1 }), (rate, steps) => {
        const bucket = new Bucket();
        let now = 0;
        let through = 0;
        for (const step of steps) {
          now += step;
          while (through < 10_000 && bucket.waitUs(now, rate, 1) === 0) {
            bucket.charge(now, rate, 1);
            through++;
          }
        }
        expect(through).toBeLessThanOrEqual(capacity(rate) + (now / SECOND) * rate + 1e-3);
      }),
      { numRuns: 200 },
    );
  });

  it("says exactly when to come back: then there is enough, a moment before there is not", () => {
    const charges = fc.double({ min: 0, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(rates, charges, fc.nat(1e9), (rate, charge, at) => {
        const bucket = new Bucket();
        bucket.charge(at, rate, charge);
        const wait = bucket.waitUs(at, rate, 1);
        if (wait === 0) return;
        expect(bucket.waitUs(at + wait, rate, 1)).toBe(0);
        const early = new Bucket();
        early.charge(at, rate, charge);
        const before = Math.floor(wait * 0.99) - 2;
        if (before > 0) expect(early.waitUs(at + before, rate, 1)).toBeGreaterThan(0);
      }),
      // The example: what is missing is hardly more than a rounding error.
      { numRuns: 300, examples: [[0.1, 9.999999999732447e-7, 0]] },
    );
  });

  it("pays back what it owes before it has anything", () => {
    const bucket = new Bucket();
    bucket.charge(0, 100, 1100);
    expect(bucket.level(0, 100)).toBe(-1000);
    expect(bucket.waitUs(0, 100, 1)).toBe(10.01 * SECOND);
  });

  it("is not refilled by a clock that steps back and forth", () => {
    const bucket = new Bucket();
    bucket.charge(10 * SECOND, 10, 10);
    for (let i = 0; i < 100; i++) {
      expect(bucket.level(9 * SECOND, 10)).toBe(0);
      expect(bucket.level(10 * SECOND, 10)).toBe(0);
    }
  });

  it("holds no more than its rate allows when that is lowered", () => {
    const bucket = new Bucket();
    expect(bucket.level(0, 1000)).toBe(1000);
    expect(bucket.level(0, 10)).toBe(10);
    expect(bucket.level(0, Number.POSITIVE_INFINITY)).toBe(10);
  });
});

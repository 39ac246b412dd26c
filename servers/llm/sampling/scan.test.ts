import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { argmax, idsNear, nextAbove } from "./scan.js";

/** Few values, so that ties are common; any float, so that nothing else is special. */
const logit = fc.oneof(
  fc.constantFrom(0, -0, 1, 1, 2, Number.NEGATIVE_INFINITY),
  fc.float({ noNaN: true, max: 2 ** 100 }),
);
const row = fc.array(logit, { minLength: 1, maxLength: 60 }).map((of) => Float32Array.from(of));

describe("nextAbove", () => {
  it("is a search one by one, from anywhere", () => {
    fc.assert(
      fc.property(row, fc.nat(70), logit, fc.option(fc.nat(59)), (logits, from, bar, hole) => {
        if (hole !== null && hole < logits.length) logits[hole] = Number.NaN;
        const expected = logits.findIndex((it, id) => id >= from && !(it <= bar));
        const none = Math.max(from, logits.length);
        expect(nextAbove(logits, from, bar)).toBe(expected === -1 ? none : expected);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("argmax", () => {
  it("is the first of the greatest", () => {
    fc.assert(
      fc.property(row, (logits) => {
        fc.pre(logits.some(Number.isFinite));
        expect(argmax(logits)).toBe(logits.indexOf(Math.max(...logits)));
      }),
      { numRuns: 1000 },
    );
  });

  it("finds what is not a number wherever it stands, of either sign", () => {
    const negative = new Float32Array(new Uint32Array([0xffc00000]).buffer);
    for (let at = 0; at < 40; at++) {
      for (const nan of [Number.NaN, ...negative]) {
        const logits = Float32Array.from({ length: 40 }, (_, id) => 40 - id);
        logits[at] = nan;
        const what = new RegExp(`token ${at} is not a number`);
        expect(() => argmax(logits)).toThrow(what);
        expect(() => idsNear(logits, 3, new Int32Array(40))).toThrow(what);
      }
    }
  });
});

describe("idsNear", () => {
  it("leaves out none that is near the greatest, whatever the reach", () => {
    const reach = fc.oneof(fc.constantFrom(0, 1, 2), fc.double({ min: 0, max: 1e6, noNaN: true }));
    fc.assert(
      fc.property(row, reach, (logits, reach) => {
        fc.pre(logits.some(Number.isFinite));
        const ids = new Int32Array(logits.length);
        const found = [...ids.subarray(0, idsNear(logits, reach, ids))];
        const floor = Math.max(...logits) - reach;
        const near = [...logits.keys()].filter((id) => (logits[id] ?? 0) >= floor);
        expect(found).toEqual(expect.arrayContaining(near));
        expect(found).toEqual([...new Set(found)].sort((a, b) => a - b));
      }),
      { numRuns: 2000 },
    );
  });
});

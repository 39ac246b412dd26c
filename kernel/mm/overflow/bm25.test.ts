import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bm25 } from "./bm25.js";

describe("bm25", () => {
  it("prefers texts with rare terms, and runs of tokens that stand together", () => {
    const texts = [
      [1, 2, 3, 9, 9],
      [1, 3, 2, 9, 9],
      [9, 9, 9, 9, 9],
    ];
    const [together = 0, apart = 0, none] = bm25([[1, 2, 3]], texts);
    expect(together).toBeGreaterThan(apart);
    expect(apart).toBeGreaterThan(0);
    expect(none).toBe(0);
    const [rare = 0, common = 0] = bm25(
      [[1], [2]],
      [
        [1, 5],
        [2, 5],
        [2, 6],
      ],
    );
    expect(rare).toBeGreaterThan(common);
  });

  it("is 0 without a query, never below, and does not mind the order of the ways to write it", () => {
    const tokens = fc.array(fc.nat(6), { maxLength: 12 });
    fc.assert(
      fc.property(
        fc.array(tokens, { maxLength: 4 }),
        fc.array(tokens, { maxLength: 6 }),
        (q, all) => {
          const scores = bm25(q, all);
          expect(scores).toHaveLength(all.length);
          for (const score of scores) expect(score).toBeGreaterThanOrEqual(0);
          expect(bm25([...q].reverse(), all)).toEqual(scores);
          expect(bm25([], all)).toEqual(all.map(() => 0));
        },
      ),
      { numRuns: 200 },
    );
  });
});

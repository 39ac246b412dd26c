import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cut, decodePlans, wholePlan } from "./plans.js";

const prompt = fc.array(fc.nat(500), { minLength: 2, maxLength: 300 });

describe("cut", () => {
  it("loses nothing, keeps to the size and leaves no chunk of one token", () => {
    fc.assert(
      fc.property(prompt, fc.integer({ min: 3, max: 70 }), (tokens, size) => {
        const chunks = cut(tokens, size);
        expect(chunks.flatMap((chunk) => chunk.tokens)).toEqual(tokens);
        let start = 0;
        for (const chunk of chunks) {
          expect(chunk.start).toBe(start);
          expect(chunk.tokens.length).toBeGreaterThanOrEqual(2);
          expect(chunk.tokens.length).toBeLessThanOrEqual(size);
          start += chunk.tokens.length;
        }
      }),
    );
  });

  it("cuts 65 as 63 + 2", () => {
    const lengths = cut(Array(65).fill(1), 64).map(({ tokens }) => tokens.length);
    expect(lengths).toEqual([63, 2]);
  });
});

const work = {
  prompts: [
    [1, 2, 3, 4, 5],
    [6, 7, 8],
  ],
  tokens: 9,
  chunk: 4,
  firstBurst: 10n,
};

describe("decodePlans", () => {
  const { enter, decode } = decodePlans(work);

  it("enters all of each prompt but its last token, and samples nothing", () => {
    expect(
      enter.chunks.map(({ slot, start, tokens, sample }) => [slot, start, tokens, sample]),
    ).toEqual([
      [0, 0, [1, 2, 3, 4], false],
      [1, 0, [6, 7], false],
    ]);
    expect(enter.steps).toBe(2);
    expect(
      enter.binds.map(({ slot, keep, burst }) => [slot, keep, burst?.id, burst?.genStart]),
    ).toEqual([
      [0, 0, 10n, 5],
      [1, 0, 11n, 3],
    ]);
  });

  it("decodes every row in every step, from the last token of its prompt on", () => {
    expect(
      decode.rows.map(({ burst, forcedStart, forced }) => [burst, forcedStart, forced]),
    ).toEqual([
      [10n, 4, [5]],
      [11n, 2, [8]],
    ]);
    expect(decode.steps).toBe(9);
    expect(decode.chunks).toEqual([]);
  });
});

describe("wholePlan", () => {
  it("samples at each prompt's last chunk and lasts until the last burst is done", () => {
    const plan = wholePlan(work);
    expect(plan.chunks.map(({ slot, tokens, sample }) => [slot, tokens, sample])).toEqual([
      [0, [1, 2, 3], false],
      [0, [4, 5], true],
      [1, [6, 7, 8], true],
    ]);
    expect(plan.steps).toBeGreaterThanOrEqual(3 + work.tokens - 1);
    expect(plan.binds.every(({ burst }) => burst?.maxTokens === 9 && burst.ignoreEos)).toBe(true);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Run } from "../journal/state.js";
import { nameBytes, pageName, rootName, saltOf, waysOf } from "./names.js";

const tokens = Array.from({ length: 16 }, (_, i) => i * 1000);
const root = rootName("principal:a", "digest");

describe("a page's name", () => {
  it("is of 32 bytes, and the same for the same", () => {
    expect(nameBytes(pageName(root, tokens, 5))).toHaveLength(32);
    expect(pageName(root, [...tokens], 5)).toBe(pageName(root, tokens, 5));
  });
  it("is another when anything that its KV depends on is another", () => {
    const other = tokens.map((token, i) => (i === 7 ? token + 1 : token));
    const names = [
      pageName(root, tokens, 5),
      pageName(rootName("principal:b", "digest"), tokens, 5),
      pageName(rootName("principal:a", "other"), tokens, 5),
      pageName(pageName(root, tokens, 5), tokens, 5),
      pageName(root, other, 5),
      pageName(root, tokens, 4),
      pageName(root, tokens.slice(0, 15), 5),
    ];
    expect(new Set(names).size).toBe(names.length);
  });
  it("does not take the border between salt and digest for a matter of taste", () => {
    expect(rootName("a", "bc")).not.toBe(rootName("ab", "c"));
  });
});

describe("the salt", () => {
  it("is the principal's, or that of all who asked for it", () => {
    expect(saltOf({ principal: "all", share: "principal" })).toBe("principal:all");
    expect(saltOf({ principal: "x", share: "all" })).toBe("all");
  });
});

describe("ways", () => {
  it("are decode for what was generated and for a given run of exactly one", () => {
    const runs = [
      { start: 0, given: true },
      { start: 3, given: false },
      { start: 5, given: true },
      { start: 6, given: false },
      { start: 7, given: true },
    ];
    const history = { tokens: Array(9).fill(0), runs };
    expect(waysOf(history, 0, 9)).toBe(0b001111000);
    expect(waysOf(history, 2, 8)).toBe(0b011110);
    expect(waysOf({ tokens: [1], runs: [{ start: 0, given: true }] }, 0, 1)).toBe(1);
    expect(waysOf({ tokens: [1, 2], runs: [{ start: 0, given: true }] }, 0, 1)).toBe(0);
  });
  it("are none where there are no runs", () => {
    expect(waysOf({ tokens: [1], runs: [] }, 0, 1)).toBe(0);
    expect(waysOf({ tokens: [1, 2, 3], runs: [] }, 1, 3)).toBe(0);
  });
  it("agree with what each token says of itself", () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(lengths, fc.boolean(), fc.nat(), (lens, first, at) => {
        const runs: Run[] = [];
        const ways: boolean[] = [];
        lens.forEach((length, i) => {
          const given = (i % 2 === 0) === first;
          runs.push({ start: ways.length, given });
          for (let k = 0; k < length; k++) ways.push(!given || length === 1);
        });
        const start = at % ways.length;
        const end = Math.min(ways.length, start + 16);
        const bits = waysOf({ tokens: ways.map(Number), runs }, start, end);
        ways.slice(start, end).forEach((decode, i) => {
          expect((bits >> i) & 1).toBe(Number(decode));
        });
        expect(bits >> (end - start)).toBe(0);
      }),
    );
  });
});

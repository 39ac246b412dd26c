import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bpe, type Merges } from "./bpe.js";

/** Symbols are tokens 0..2; rule r makes token 3 + r. */
function merges(rules: readonly (readonly [number, number])[]): Merges {
  const ranks: (Map<number, number> | undefined)[] = [];
  rules.forEach(([left, right], rank) => {
    const rights = ranks[left] ?? new Map<number, number>();
    ranks[left] = rights;
    if (!rights.has(right)) rights.set(right, rank);
  });
  return {
    ranks,
    merged: Int32Array.from(rules, (_, rank) => 3 + rank),
  };
}

/** The definition: join the leftmost pair of the best rule, as long as one applies. */
function naive({ ranks, merged }: Merges, bytes: readonly number[]): number[] {
  const symbols = [...bytes];
  for (;;) {
    let best = Number.POSITIVE_INFINITY;
    let at = -1;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const rank = ranks[symbols[i] ?? 0]?.get(symbols[i + 1] ?? 0);
      if (rank !== undefined && rank < best) [best, at] = [rank, i];
    }
    if (at === -1) return symbols;
    symbols.splice(at, 2, merged[best] ?? 0);
  }
}

describe("bpe", () => {
  it("joins what the definition joins", () => {
    // A rule may use the tokens of the rules before it.
    const rules = fc
      .array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 12 })
      .map((some) => some.map(([a, b], i): [number, number] => [a % (3 + i), b % (3 + i)]));
    const bytes = fc.array(fc.nat(2), { maxLength: 60 });
    fc.assert(
      fc.property(rules, bytes, (some, text) => {
        const table = merges(some);
        expect(bpe(table, Int32Array.from(text))).toEqual(naive(table, text));
      }),
      { numRuns: 3000 },
    );
  });

  it("takes a long piece", () => {
    const table = merges([
      [0, 0],
      [3, 3],
      [4, 4],
    ]);
    const tokens = bpe(table, new Int32Array(100_001));
    expect(tokens.length).toBe(12_501);
    expect(new Set(tokens)).toEqual(new Set([5, 0]));
  });
});

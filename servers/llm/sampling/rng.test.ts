import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Draws, philox4x32 } from "./rng.js";

type Case = [
  counter: [number, number, number, number],
  key: [number, number],
  expected: [number, number, number, number],
];

// The known answers for philox 4x32 with 10 rounds of the authors' Random123 library.
const KNOWN: Case[] = [
  [
    [0, 0, 0, 0],
    [0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
];

/** The definition of the paper in bigints. */
function reference(counter: bigint[], key: bigint[]): number[] {
  const mask = 0xffffffffn;
  let [c0 = 0n, c1 = 0n, c2 = 0n, c3 = 0n] = counter;
  let [k0 = 0n, k1 = 0n] = key;
  for (let round = 0; round < 10; round++) {
    const p0 = 0xd2511f53n * c0;
    const p1 = 0xcd9e8d57n * c2;
    [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, p1 & mask, (p0 >> 32n) ^ c3 ^ k1, p0 & mask];
    k0 = (k0 + 0x9e3779b9n) & mask;
    k1 = (k1 + 0xbb67ae85n) & mask;
  }
  return [c0, c1, c2, c3].map(Number);
}

describe("philox4x32", () => {
  it.each(KNOWN)("gives the published answer for counter %j, key %j", (counter, key, expected) => {
    const out = new Uint32Array(4);
    philox4x32(counter, key, out);
    expect([...out]).toEqual(expected);
  });

  it("equals the definition for any counter and key", () => {
    const word = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), fc.tuple(word, word), (counter, key) => {
        const out = new Uint32Array(4);
        philox4x32(counter, key, out);
        expect([...out]).toEqual(reference(counter.map(BigInt), key.map(BigInt)));
      }),
    );
  });
});

describe("Draws", () => {
  it("is a pure function of seed, position and choice", () => {
    const a = new Draws(12345678901234567890n);
    const forward = Array.from({ length: 50 }, (_, i) => a.uniform(i, 0));
    const b = new Draws(12345678901234567890n);
    const backward = Array.from({ length: 50 }, (_, i) => b.uniform(49 - i, 0)).reverse();
    expect(backward).toEqual(forward);
  });

  it("depends on each half of the seed, on the position and on the choice", () => {
    const values = [
      new Draws(1n).uniform(7, 0),
      new Draws(1n << 32n).uniform(7, 0),
      new Draws(1n).uniform(8, 0),
      new Draws(1n).uniform(7, 1),
    ];
    expect(new Set(values).size).toBe(4);
  });

  it("is uniform in [0, 1)", () => {
    const draws = new Draws(99n);
    const buckets = new Array<number>(16).fill(0);
    const n = 16_000;
    for (let i = 0; i < n; i++) {
      const u = draws.uniform(i, 0);
      expect(u >= 0 && u < 1).toBe(true);
      const bucket = Math.floor(u * 16);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    // Chi-square with 15 degrees of freedom: 37.7 is the 0.1 % point, and the seed is fixed.
    const chi2 = buckets.reduce((sum, k) => sum + (k - n / 16) ** 2 / (n / 16), 0);
    expect(chi2).toBeLessThan(37.7);
  });
});

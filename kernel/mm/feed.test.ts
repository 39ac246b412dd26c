import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Run } from "../journal/state.js";
import { chunkSize, enteredRight, type History, keepable, segments } from "./feed.js";

function history(...runs: [given: boolean, length: number][]): History {
  const out: Run[] = [];
  let length = 0;
  for (const [given, n] of runs) {
    out.push({ start: length, given });
    length += n;
  }
  return { tokens: { length }, runs: out };
}

/** Alternating runs of 1 to 40 tokens, the first one given. */
const histories = fc
  .array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 })
  .map((lengths) => history(...lengths.map((n, i): [boolean, number] => [i % 2 === 0, n])));

describe("enteredRight", () => {
  it("leaves out a given token that was the only one of its run, and is no more", () => {
    expect(enteredRight(history([false, 15], [true, 4]), 16)).toBe(15);
    expect(enteredRight(history([false, 15], [true, 1]), 16)).toBe(16);
    expect(enteredRight(history([false, 15], [true, 4]), 17)).toBe(17);
    expect(enteredRight(history([false, 15], [false, 4]), 16)).toBe(16);
    expect(enteredRight(history([true, 4]), 0)).toBe(0);
  });
});

describe("keepable", () => {
  it("leaves two given tokens to compute when all are resident", () => {
    expect(keepable(history([true, 10]), 10)).toBe(8);
    expect(keepable(history([true, 10]), 9)).toBe(8);
    expect(keepable(history([true, 10]), 8)).toBe(8);
  });
  it("gives back one token when the last was generated", () => {
    expect(keepable(history([true, 4], [false, 3]), 7)).toBe(6);
  });
  it("computes a given run of one token by decode, and again when the run has grown", () => {
    expect(keepable(history([true, 1]), 1)).toBe(0);
    // Its first token entered by decode, as the only one; now the run has five.
    expect(keepable(history([true, 4], [false, 2], [true, 5]), 7)).toBe(6);
  });
  it("is a fixed point: what can be kept can be kept", () => {
    fc.assert(
      fc.property(histories, fc.nat(400), (h, resident) => {
        const keep = keepable(h, resident);
        expect(keep).toBeLessThan(h.tokens.length);
        expect(keep).toBeLessThanOrEqual(resident);
        // At most two beyond the last token, whose logits are wanted: three of three, for one.
        expect(keep).toBeGreaterThanOrEqual(Math.min(resident, h.tokens.length - 1) - 2);
        expect(keepable(h, keep)).toBe(keep);
      }),
    );
  });
});

describe("segments", () => {
  it("cover what is missing, each by the way its class demands", () => {
    fc.assert(
      fc.property(histories, fc.nat(400), (h, resident) => {
        const from = keepable(h, resident);
        const todo = segments(h, from);
        let at = from;
        for (const segment of todo) {
          expect(segment.start).toBe(at);
          expect(segment.end).toBeGreaterThan(at);
          at = segment.end;
          if (segment.how === "prefill") expect(segment.end - segment.start).toBeGreaterThan(1);
        }
        expect(at).toBe(h.tokens.length);
      }),
    );
  });
  it("enters each token the same way wherever the cut was", () => {
    const wayOf = (h: History, from: number): Map<number, string> => {
      const ways = new Map<number, string>();
      for (const { start, end, how } of segments(h, from)) {
        for (let i = start; i < end; i++) ways.set(i, how);
      }
      return ways;
    };
    fc.assert(
      fc.property(histories, fc.nat(400), (h, resident) => {
        const whole = wayOf(h, 0);
        for (const [token, how] of wayOf(h, keepable(h, resident)))
          expect(whole.get(token)).toBe(how);
      }),
    );
  });
});

describe("a history without runs", () => {
  const plain = (length: number): History => ({ tokens: { length }, runs: [] });
  it("keeps all but its last token, whatever its tokens were", () => {
    expect([0, 1, 9, 10].map((resident) => keepable(plain(10), resident))).toEqual([0, 1, 9, 9]);
    expect(enteredRight(plain(10), 7)).toBe(7);
  });
  it("enters in one piece, and by decode when that is one token", () => {
    expect(segments(plain(10), 3)).toEqual([{ start: 3, end: 10, how: "prefill" }]);
    expect(segments(plain(10), 9)).toEqual([{ start: 9, end: 10, how: "decode" }]);
    expect(segments(plain(10), 10)).toEqual([]);
  });
});

describe("chunkSize", () => {
  it("never leaves one token, never cuts one token", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 2000 }),
        fc.integer({ min: 2, max: 256 }),
        (left, preferred) => {
          const size = chunkSize(left, preferred);
          expect(size).toBeGreaterThanOrEqual(2);
          expect(size).toBeLessThanOrEqual(left);
          expect(left - size).not.toBe(1);
        },
      ),
    );
  });
  it("cuts 65 as 63 + 2", () => expect(chunkSize(65, 64)).toBe(63));
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { guess, Patience } from "./lookup.js";

/** The definition: of all earlier places where the end stood, the last of the longest. */
function reference(context: readonly number[], next: number, most: number): number[] {
  const all = [...context, next];
  for (const n of [3, 2]) {
    const end = all.slice(-n).join();
    if (all.length <= n) continue;
    for (let at = all.length - 1 - n; at >= 0; at--) {
      if (all.slice(at, at + n).join() !== end) continue;
      const guesses: number[] = [];
      while (guesses.length < most) {
        guesses.push([...all, ...guesses][at + n + guesses.length] ?? -1);
      }
      return guesses;
    }
  }
  return [];
}

describe("guess", () => {
  it("gives what followed the last place of the longest end", () => {
    expect(guess([1, 2, 3, 4, 5, 9, 2, 3, 7, 1, 2], 3, 2)).toEqual([4, 5]);
    expect(guess([1, 2, 3, 4, 5, 9, 2, 3, 7, 8, 2], 3, 2)).toEqual([7, 8]);
    expect(guess([1, 2, 3, 4], 2, 5)).toEqual([]);
  });

  it("goes on with a repetition that reaches the end", () => {
    expect(guess([7, 1, 2, 1, 2, 1], 2, 5)).toEqual([1, 2, 1, 2, 1]);
    expect(guess([4, 4], 4, 3)).toEqual([4, 4, 4]);
  });

  it("equals the definition, and guesses no more than asked for", () => {
    const tokens = fc.array(fc.nat(3), { maxLength: 30 });
    fc.assert(
      fc.property(tokens, fc.nat(3), fc.integer({ min: -2, max: 9 }), (context, next, most) => {
        const expected = reference(context, next, most);
        expect(guess(context, next, most)).toEqual(most > 0 ? expected : []);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("Patience", () => {
  it("guesses fewer after wrong ones and more after right ones, at most what was asked for", () => {
    const patience = new Patience(8);
    expect(patience.next()).toBe(8);
    patience.note(8, 2);
    expect(patience.next()).toBe(3);
    patience.note(3, 3);
    expect(patience.next()).toBe(6);
    patience.note(6, 6);
    expect(patience.next()).toBe(8);
  });

  it("rests after guesses in vain, longer each time, and recovers", () => {
    const patience = new Patience(4);
    const rests = Array.from({ length: 9 }, () => {
      patience.note(1, 0);
      let rest = 0;
      while (patience.next() === 0) rest++;
      return rest;
    });
    expect(rests).toEqual([1, 3, 7, 15, 31, 63, 64, 64, 64]);
    patience.note(1, 1);
    patience.note(1, 0);
    expect([patience.next(), patience.next()]).toEqual([0, 1]);
  });
});

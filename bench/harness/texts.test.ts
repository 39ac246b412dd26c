import { readdir, readFile } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inCheckout } from "./root.js";
import { EVALUATION_TEXTS, evaluationText, passages, windows } from "./texts.js";

describe("the texts", () => {
  it("are long enough for 4,000 positions each, at 5 bytes a token", async () => {
    for (const name of EVALUATION_TEXTS) {
      expect((await evaluationText(name)).length).toBeGreaterThan(5 * 4_700);
    }
  });

  it("are all in the README, and the text for calibration is not among them", async () => {
    const readme = await readFile(inCheckout("bench", "texts", "README.md"), "utf8");
    const files = (await readdir(inCheckout("bench", "texts"))).filter((f) => f.endsWith(".txt"));
    for (const file of files) expect(readme).toContain(`\`${file}\``);
    expect(files.sort()).toEqual(EVALUATION_TEXTS.map((name) => `${name}.txt`).sort());
  });
});

describe("windows", () => {
  it("are parts of the text that follow each other, the same for the same seed", () => {
    const counts = fc.record({
      count: fc.integer({ min: 1, max: 9 }),
      length: fc.integer({ min: 1, max: 20 }),
      spare: fc.nat(50),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(counts, ({ count, length, spare, seed }) => {
        const tokens = Array.from({ length: count * length + spare }, (_, i) => i);
        const parts = windows(tokens, count, length, seed);
        const first = parts[0]?.[0] ?? -1;
        expect(parts.flat()).toEqual(tokens.slice(first, first + count * length));
        expect(windows(tokens, count, length, seed)).toEqual(parts);
      }),
    );
  });

  it("refuse a text that is too short", () => {
    expect(() => windows([1, 2, 3], 2, 2, 1)).toThrow("2 windows of 2 need more than 3 tokens");
  });
});

describe("passages", () => {
  it("are so many words each, and differ from each other and by seed", () => {
    const text = Array.from({ length: 100 }, (_, i) => `w${i}`).join("  \n");
    const parts = passages(text, 4, 10, 1);
    expect(parts.map((part) => part.split(" ").length)).toEqual([10, 10, 10, 10]);
    expect(new Set(parts).size).toBe(4);
    expect(passages(text, 4, 10, 2)).not.toEqual(parts);
    expect(() => passages(text, 11, 10, 1)).toThrow("more than 100 words");
  });
});

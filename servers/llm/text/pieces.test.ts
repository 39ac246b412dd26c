import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteDetokenizer } from "./detokenizer.js";
import {
  scoredTokenizer,
  TEXTS_OF_SCORED,
  unigramTokenizer,
  WHOLE,
  wordPieceTokenizer,
} from "./testing/pieces.js";
import { Tokenizer } from "./tokenizer.js";
import { readVocabulary, type Vocabulary } from "./vocabulary.js";

const FIRST_TEXT = 259;
const plain = { special: false } as const;

/** Texts that the small vocabularies have much of, and all others. */
const anyText = fc
  .array(
    fc.oneof(
      fc.constantFrom(..."▁ abchte.,é世", "the ", "    ", "aaaa", ...WHOLE, "<0x41>", "  \t"),
      fc.string({ unit: "binary", maxLength: 4 }),
      fc.constantFrom("\ud800", "\udfff", "😀", "\u0000", "\ufeff"),
    ),
    { maxLength: 20 },
  )
  .map((parts) => parts.join(""));

function decode({ tokenBytes }: Vocabulary, tokens: readonly number[]): string {
  const detokenizer = new ByteDetokenizer(tokenBytes);
  return tokens.map((token) => detokenizer.push(token)).join("") + detokenizer.flush();
}

/** The definition: join the leftmost pair of the best score, as long as one is a token. */
function naiveScored(text: string, scores: readonly number[]): string[] {
  const symbols = [...text.replaceAll(" ", "▁")];
  for (;;) {
    let best = Number.NEGATIVE_INFINITY;
    let at = -1;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const id = TEXTS_OF_SCORED.indexOf(`${symbols[i]}${symbols[i + 1]}`);
      if (id >= 0 && (scores[id] ?? 0) > best) [best, at] = [scores[id] ?? 0, i];
    }
    if (at < 0) return symbols;
    symbols.splice(at, 2, `${symbols[at]}${symbols[at + 1]}`);
  }
}

/** The best sum of scores of all ways to cut, a character alone costing what an unknown does. */
function bestSum(text: string, scores: readonly number[], unknown: number): number {
  const sums = [0];
  for (let end = 1; end <= text.length; end++) {
    const ways = TEXTS_OF_SCORED.map((token, i) =>
      text.slice(0, end).endsWith(token)
        ? (sums[end - token.length] ?? 0) + (scores[i] ?? 0)
        : -1e9,
    );
    const alone = TEXTS_OF_SCORED.includes(text.charAt(end - 1)) ? -1e9 : unknown;
    sums.push(Math.max(...ways, (sums[end - 1] ?? 0) + alone));
  }
  return sums[text.length] ?? 0;
}

const scoresOf = fc.array(fc.integer({ min: -6, max: -1 }), {
  minLength: TEXTS_OF_SCORED.length,
  maxLength: TEXTS_OF_SCORED.length,
});
const ownText = fc
  .array(fc.constantFrom(..." abchte.,é世"), { maxLength: 30 })
  .map((chars) => chars.join(""));

describe("BPE by scores", () => {
  it("joins what the definition joins, equal scores from the left", () => {
    fc.assert(
      fc.property(scoresOf, ownText, (scores, text) => {
        const tokenizer = new Tokenizer(readVocabulary(scoredTokenizer({ scores })));
        const shown = tokenizer
          .encode(text, plain)
          .map((id) => TEXTS_OF_SCORED[id - FIRST_TEXT] ?? `?${id}`);
        expect(shown).toEqual(naiveScored(text, scores));
      }),
      { numRuns: 500 },
    );
  });

  it("comes back as the text, but for what is written as its space", () => {
    const vocabulary = readVocabulary(scoredTokenizer());
    const tokenizer = new Tokenizer(vocabulary);
    fc.assert(
      fc.property(anyText, (text) => {
        const back = decode(vocabulary, tokenizer.encode(text, plain));
        expect(back).toBe(Buffer.from(text).toString().replaceAll("▁", " "));
      }),
      { numRuns: 1000 },
    );
  });

  it("puts its space before a text, but not where other text goes on", () => {
    const vocabulary = readVocabulary(scoredTokenizer({ spacePrefix: true }));
    const tokenizer = new Tokenizer(vocabulary);
    const the = tokenizer.encode("the", plain);
    expect(decode(vocabulary, the)).toBe(" the");
    expect(decode(vocabulary, tokenizer.encode("the", { ...plain, place: "text" }))).toBe("the");
    const asked = { special: true, place: "text" } as const;
    expect(tokenizer.encode("the</s>the", asked).slice(-4)).toEqual([2, ...the]);
    expect(tokenizer.encode("", plain)).toEqual([]);
    expect(tokenizer.encodeWhole("the")).toEqual([1, ...the]);
  });

  it("never makes a special token, nor a byte of its name", () => {
    const tokenizer = new Tokenizer(readVocabulary(scoredTokenizer()));
    fc.assert(
      fc.property(anyText, (text) => {
        expect(tokenizer.encode(text, plain).some((id) => id < WHOLE.length)).toBe(false);
      }),
    );
    expect(tokenizer.encode("<0x41>", plain)).not.toContain(3 + 0x41);
    expect(tokenizer.encode("</s>", { special: true })).toEqual([2]);
  });

  it("takes bytes for a character that is no token, one by one", () => {
    const vocabulary = readVocabulary(scoredTokenizer());
    const tokens = new Tokenizer(vocabulary).encode("😀", plain);
    expect(tokens).toEqual([0xf0, 0x9f, 0x98, 0x80].map((byte) => 3 + byte));
    const detokenizer = new ByteDetokenizer(vocabulary.tokenBytes);
    expect(tokens.map((token) => detokenizer.push(token))).toEqual(["", "", "", "😀"]);
  });
});

describe("unigram", () => {
  it("finds a cut of the best sum", () => {
    fc.assert(
      fc.property(scoresOf, ownText, fc.boolean(), (scores, own, odd) => {
        const text = odd ? `${own}x${own}` : own;
        const tokenizer = new Tokenizer(readVocabulary(unigramTokenizer(scores)));
        const tokens = tokenizer.encode(text, plain);
        const unknown = Math.min(...scores, -2) - 10;
        const known = tokens.reduce(
          (sum, id) => sum + (id === 0 ? unknown : (scores[id - 3] ?? 0)),
          0,
        );
        const whole = text === "" ? "" : `▁${text}`.replaceAll(" ", "▁");
        expect(known).toBeCloseTo(bestSum(whole, scores, unknown), 6);
      }),
      { numRuns: 500 },
    );
  });

  it("has one unknown token for characters that stand together", () => {
    const tokenizer = new Tokenizer(readVocabulary(unigramTokenizer([])));
    expect(tokenizer.encode("axyz", plain).filter((id) => id === 0)).toEqual([0]);
    expect(tokenizer.encodeWhole("a").at(-1)).toBe(2);
  });
});

describe("WordPiece", () => {
  const tokenizer = new Tokenizer(readVocabulary(wordPieceTokenizer()));

  it("cuts words from the left, or not at all", () => {
    expect(tokenizer.encode("Unaffable, the cafés", plain)).toEqual([3, 4, 5, 7, 6, 8, 9]);
    expect(tokenizer.encode("unaff unx 人人", plain)).toEqual([3, 4, 0, 10, 10]);
    expect(tokenizer.encode("the".padEnd(101, "s"), plain)).toEqual([0]);
    expect(tokenizer.encodeWhole("[SEP] the")).toEqual([1, 0, 0, 0, 6, 2]);
  });
});

describe("any tokenizer", () => {
  const all = {
    scored: scoredTokenizer(),
    unigram: unigramTokenizer([]),
    wordPiece: wordPieceTokenizer(),
  };

  it.each(Object.entries(all))("%s takes time in proportion to the text", (_, json) => {
    const vocabulary = readVocabulary(json);
    const tokenizer = new Tokenizer(vocabulary);
    // Quadratic time on these would be minutes.
    for (const unit of ["a", " ", "<", "▁", "é", "x", "<s", "</s> ", "\n", "the"]) {
      const text = unit.repeat(200_000 / unit.length);
      expect(tokenizer.encode(text, plain).length).toBeLessThanOrEqual(2 * text.length);
    }
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteDetokenizer } from "./detokenizer.js";
import { SPECIAL, smallText, smallTokenizer } from "./testing/models.js";
import { readVocabulary } from "./vocabulary.js";

const text = smallText();
const encode = (s: string, special = false) => text.encode(s, { special, start: false });

function decode(tokens: readonly number[], table = text.tokenBytes): string {
  const detokenizer = new ByteDetokenizer(table);
  return tokens.map((token) => detokenizer.push(token)).join("") + detokenizer.flush();
}

/** Texts of all scripts, with what is likely to go wrong made likely. */
const anyText = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 5 }),
      fc.constantFrom(
        " the",
        "  ",
        "\r\n",
        "123",
        "é",
        "aaaa",
        "😀",
        "👩‍👩‍👧",
        "<|",
        "|>",
        "\u0085",
        "\ufeff",
        ...SPECIAL,
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(""));

describe("Tokenizer", () => {
  it("comes back as the text, for any text", () => {
    fc.assert(
      fc.property(anyText, (s) => {
        expect(decode(encode(s))).toBe(s);
      }),
      { numRuns: 1000 },
    );
  });

  it("never makes a special token of text, unless asked to", () => {
    fc.assert(
      fc.property(anyText, (s) => {
        const isSpecial = (token: number) => token >= 256 && token <= 258;
        expect(encode(s).some(isSpecial)).toBe(false);
        const found = encode(s, true).filter(isSpecial).length;
        const there = s.match(/<\|(endoftext|im_start|im_end)\|>/g)?.length ?? 0;
        expect(found).toBe(there);
      }),
    );
  });

  it("cuts text into pieces before it merges", () => {
    const [th, he, the, ing] = [259, 260, 261, 263];
    expect(encode("the thing")).toEqual([116, he, th, 104, ing]);
    expect(encode(" the")).toEqual([the]);
    // Digits stand alone, and U+0085 is white space, as U+FEFF is not.
    expect(encode("\u0085\u0085the").at(-1)).toBe(he);
    expect(encode("a<|im_end|>", true)).toEqual([97, 258]);
  });

  it("knows each token by itself: its bytes, or a special one's name", () => {
    const detokenizer = new ByteDetokenizer(text.tokenBytes);
    const piece = (token: number): [string, string] => {
      const { bytes, special } = detokenizer.piece(token);
      return [bytes.toString("latin1"), special];
    };
    expect(detokenizer.push(0xc3)).toBe("");
    expect([97, 259, 0xc3].map(piece)).toEqual([
      ["a", ""],
      [" t", ""],
      ["\u00c3", ""],
    ]);
    expect([256, 257, 258].map(piece)).toEqual(SPECIAL.map((name) => ["", name]));
    expect(piece(99_999)).toEqual(["", ""]);
  });

  it("writes U+FFFD for a character that has no bytes in the vocabulary", () => {
    const partial = smallText({}, [0x04, 0xf1]);
    const tokens = partial.encode("a\u0004b\u{40000}c", { special: false, start: false });
    expect(decode(tokens, partial.tokenBytes)).toBe("a\ufffdb\ufffdc");
    expect(() => smallText({}, [0x04, 0xbf])).toThrow(expect.objectContaining({ code: "EMODEL" }));
  });

  it("starts a context with the model's first token, where the model wants it", () => {
    const starting = smallText({ addBos: true });
    expect(starting.encode("a", { special: false, start: true })).toEqual([256, 97]);
    expect(starting.encode("a", { special: false, start: false })).toEqual([97]);
    expect(text.encode("a", { special: false, start: true })).toEqual([97]);
  });
});

const SPLIT = { type: "Split", pattern: { String: "a" }, behavior: "Isolated" };
const CHARSMAP = { type: "Precompiled" };
const sequence = (...pretokenizers: object[]) => ({ type: "Sequence", pretokenizers });

describe("readVocabulary", () => {
  const change = (some: object) => ({ ...smallTokenizer(), ...some });
  it.each([
    ["no object", null],
    ["an unknown model", change({ model: { type: "WordLevel", vocab: {} } })],
    ["an unknown normalizer", change({ normalizer: { type: "Nmt" } })],
    ["an unknown pre-tokenizer", change({ pre_tokenizer: { type: "UnicodeScripts" } })],
    ["an unknown decoder", change({ decoder: { type: "CTC" } })],
    ["an unknown post-processor", change({ post_processor: { type: "Other" } })],
    [
      "an expression that is none",
      change({ pre_tokenizer: { ...SPLIT, pattern: { Regex: "(" } } }),
    ],
    ["steps after bytes", change({ pre_tokenizer: sequence({ type: "ByteLevel" }, SPLIT) })],
    ["words of bytes", change({ model: { type: "WordPiece", vocab: { "[UNK]": 0 } } })],
    [
      "a charsmap that is none",
      change({ normalizer: { ...CHARSMAP, precompiled_charsmap: "AAAA" } }),
    ],
    ["a merge of no token", change({ model: { type: "BPE", vocab: { a: 0 }, merges: ["a b"] } })],
    ["ids that are none", change({ model: { type: "BPE", vocab: { a: "x" }, merges: [] } })],
  ])("refuses %s", (_, json) => {
    expect(() => readVocabulary(json)).toThrow(expect.objectContaining({ code: "EMODEL" }));
  });

  it("names the part that it does not know", () => {
    const steps = sequence(SPLIT, { type: "UnicodeScripts" });
    expect(() => readVocabulary(change({ pre_tokenizer: steps }))).toThrow(
      /pre_tokenizer\.pretokenizers\.1\.type: "UnicodeScripts"; those that can be read: Split, /,
    );
    const split = { ...SPLIT, behavior: "Sideways" };
    expect(() => readVocabulary(change({ pre_tokenizer: split }))).toThrow(
      /pre_tokenizer\.behavior: /,
    );
  });
});

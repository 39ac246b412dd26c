import { describe, expect, it } from "vitest";
import { byteAlphabet, tokenizerJson } from "../models/tokenizer-json.js";
import { PRE_TOKENIZERS } from "../models/tokenizer-json-pre.js";
import { readVocabulary } from "./vocabulary.js";

/** What makes expressions go back and try again: long runs, with and without an end. */
const UNITS = ["a", " ", "\n", " \n", "1", ".", "\u2028", "aA"];
const ENDS = ["", "世"];
const LENGTH = 100_000;

/** One name of each that cut alike. */
const NAMES = [...new Map([...PRE_TOKENIZERS].map(([name, pre]) => [pre, name])).values()];

describe("the cuts of a byte-level tokenizer", () => {
  it.each(NAMES)("%s take time in proportion to the text", (pre) => {
    const tokens = byteAlphabet();
    const vocabulary = readVocabulary(tokenizerJson({ tokens, merges: [], special: [], pre }));
    // Quadratic time would be longer than the test may take.
    for (const unit of UNITS) {
      for (const end of ENDS) {
        const text = unit.repeat(LENGTH / unit.length) + end;
        expect(vocabulary.split(text, "start").join("") === text).toBe(true);
      }
    }
  });
});

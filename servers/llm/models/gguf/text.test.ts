import { describe, expect, it } from "vitest";
import { Tokenizer } from "../../text/tokenizer.js";
import { readVocabulary } from "../../text/vocabulary.js";
import { byteAlphabet } from "../tokenizer-json.js";
import type { GgufValue } from "./header.js";
import { modelText } from "./text.js";

const PIECES = ["<unk>", "<s>", "</s>", "▁", "a", "▁a", "<end_of_turn>", "  "];
const LLAMA: Record<string, GgufValue> = {
  "tokenizer.ggml.model": "llama",
  "tokenizer.ggml.tokens": PIECES,
  "tokenizer.ggml.scores": PIECES.map((_, i) => -i),
  "tokenizer.ggml.token_type": [2, 3, 3, 1, 1, 1, 4, 4],
};
const GPT2: Record<string, GgufValue> = {
  "tokenizer.ggml.model": "gpt2",
  "tokenizer.ggml.tokens": [...byteAlphabet(), "<|end|>"],
  "tokenizer.ggml.merges": [],
  "tokenizer.ggml.bos_token_id": 256,
};
const WORDS = ["[UNK]", "[CLS]", "[SEP]", "▁the", "s", "▁["];
const BERT: Record<string, GgufValue> = {
  "tokenizer.ggml.model": "bert",
  "tokenizer.ggml.tokens": WORDS,
  "tokenizer.ggml.token_type": [3, 3, 3, 1, 1, 1],
  "tokenizer.ggml.bos_token_id": 1,
  "tokenizer.ggml.unknown_token_id": 0,
  "tokenizer.ggml.seperator_token_id": 2,
};

function text(metadata: Record<string, GgufValue>) {
  return modelText({
    path: "a.gguf",
    metadata: new Map(Object.entries(metadata)),
    tensors: new Map(),
  });
}

const tokenizer = (metadata: Record<string, GgufValue>): Tokenizer =>
  new Tokenizer(readVocabulary(text(metadata).tokenizer));
const key = (name: string, value: GgufValue) => ({ [`tokenizer.ggml.${name}`]: value });

describe("a GGUF's text", () => {
  it("of SentencePiece has the ids and the space that llama.cpp takes for granted", () => {
    expect(text(LLAMA)).toMatchObject({ bosId: 1, addBos: true, eosIds: [2, 6] });
    expect(tokenizer(LLAMA).encodeWhole("a  a")).toEqual([1, 5, 7, 5]);
    const bare = { ...LLAMA, ...key("add_space_prefix", false), ...key("add_bos_token", false) };
    expect(text(bare).addBos).toBe(false);
    expect(tokenizer(bare).encodeWhole("a a")).toEqual([4, 5]);
  });

  it("takes an end token for special, though the file says it is text", () => {
    expect(tokenizer(LLAMA).encode("<end_of_turn>", { special: false })).not.toContain(6);
    expect(tokenizer(LLAMA).encode("<end_of_turn>", { special: true })).toEqual([6]);
  });

  it("has the file's own end token first", () => {
    const eos = { ...LLAMA, ...key("eos_token_id", 6) };
    expect(text(eos).eosIds).toEqual([6, 2]);
  });

  it("of llama-bpe starts contexts and ignores merges where a piece is a token", () => {
    const bytes = GPT2["tokenizer.ggml.tokens"] as string[];
    const some = { ...GPT2, ...key("tokens", [...bytes, "Ġab"]), ...key("pre", "llama-bpe") };
    expect(text(some).addBos).toBe(true);
    expect(tokenizer(some).encode("ab ab", { special: false })).toEqual([97, 98, 257]);
    expect(text(GPT2).addBos).toBe(false);
  });

  it("of BERT is WordPiece between its marks", () => {
    expect(tokenizer(BERT).encodeWhole("Thés [ the")).toEqual([1, 3, 4, 5, 3, 2]);
  });

  it.each<[string, Record<string, GgufValue>, RegExp]>([
    ["a kind", { ...GPT2, ...key("model", "rwkv") }, /"rwkv"; .* gpt2, llama, t5, bert$/],
    ["cuts", { ...GPT2, ...key("pre", "kimi-k2") }, /"kimi-k2"; .*default, .*llama-bpe, .*qwen2/],
    ["scores of others", { ...LLAMA, ...key("scores", [1]) }, /1 scores for 8 tokens/],
    [
      "scores that are none",
      {
        ...LLAMA,
        ...key(
          "scores",
          PIECES.map(() => "1"),
        ),
      },
      /is no score/,
    ],
    ["types of others", { ...LLAMA, ...key("token_type", [1]) }, /1 types for 8 tokens/],
    ["an id of none", { ...LLAMA, ...key("eos_token_id", 8) }, /8 of 8 tokens/],
    [
      "a token twice",
      {
        ...LLAMA,
        ...key(
          "tokens",
          PIECES.map(() => "a"),
        ),
      },
      /are both "a"/,
    ],
    [
      "no charsmap",
      { ...LLAMA, ...key("model", "t5"), ...key("precompiled_charsmap", ["a"]) },
      /no byte/,
    ],
  ])("refuses %s", (_, metadata, message) => {
    expect(() => text(metadata)).toThrow(
      expect.objectContaining({ code: "EMODEL", message: expect.stringMatching(message) }),
    );
  });
});

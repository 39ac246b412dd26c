import { Tokenizer } from "@huggingface/tokenizers";
import { describe, expect, it } from "vitest";
import { type BpeVocabulary, byteAlphabet, tokenizerJson } from "./tokenizer-json.js";

const bytes = byteAlphabet();
const vocabulary: BpeVocabulary = {
  tokens: [...bytes, "12", "Ġ1", "he", "<|x|>", "plain"],
  merges: [
    ["1", "2"],
    ["Ġ", "1"],
    ["h", "e"],
  ],
  special: [259],
  added: [260],
  pre: "gpt-2",
};

function tokens(text: string, pre: string): string[] {
  const tokenizer = new Tokenizer(tokenizerJson({ ...vocabulary, pre }), {});
  return tokenizer.encode(text, { add_special_tokens: false }).tokens;
}

describe("tokenizer.json", () => {
  it("has a printable character of its own for each byte", () => {
    expect(new Set(bytes).size).toBe(256);
    expect([bytes[0x41], bytes[0x20], bytes[0x0a]]).toEqual(["A", "Ġ", "Ċ"]);
  });

  it("cuts text before it merges, as each kind of pre-tokenizer does", () => {
    expect(tokens("he 12", "gpt-2")).toEqual(["he", "Ġ", "12"]);
    expect(tokens("he 12", "default")).toEqual(["he", "Ġ", "12"]);
    expect(tokens("he 12", "smollm")).toEqual(["he", "Ġ", "1", "2"]);
  });

  it("takes special and added tokens whole; only special ones vanish from text", () => {
    const tokenizer = new Tokenizer(tokenizerJson(vocabulary), {});
    const { ids } = tokenizer.encode("he<|x|>plain", { add_special_tokens: false });
    expect(ids).toEqual([258, 259, 260]);
    expect(tokenizer.decode(ids, { skip_special_tokens: true })).toBe("heplain");
  });
});

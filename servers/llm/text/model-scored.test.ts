import { describe, expect, it } from "vitest";
import { readScoredBpe } from "./model-scored.js";

/** A vocabulary in which text can be joined up to what no text may become. */
const VOCAB: readonly (readonly [string, number])[] = [
  ["<unk>", 0],
  ["<s>", 0],
  ["<0x41>", 0],
  ["<", -5],
  ["s", -5],
  [">", -5],
  ["0", -5],
  ["x", -5],
  ["4", -5],
  ["1", -5],
  ["<s", -1],
  ["<0", -2],
  ["<0x", -2],
  ["<0x4", -2],
  ["<0x41", -2],
];
const id = (token: string): number => VOCAB.findIndex(([text]) => text === token);

describe("what a text may not become, though its parts join up to it", () => {
  const special = new Set(["<unk>", "<s>"]);
  const { encode, ids } = readScoredBpe({ vocab: VOCAB, unk_id: 0 }, "model", {
    special,
    byteLevel: false,
  });

  it("is a special token", () => {
    expect(encode("<s>")).toEqual([id("<s"), id(">")]);
    expect(ids.has("<s>")).toBe(false);
  });

  it("is the token of a byte", () => {
    expect(encode("<0x41>")).toEqual([id("<0x41"), id(">")]);
    // A character that is no token becomes its byte all the same.
    expect(encode("A")).toEqual([id("<0x41>")]);
  });
});

import { expect, it } from "vitest";
import type { TokenLogprob } from "../../syscalls/index.js";
import { CHAT_LOGPROBS, COMPLETION_LOGPROBS, TextLogprobs } from "./logprobs.js";

/** A token of these bytes; its likeliest is another. */
function entry(bytes: readonly number[], logprob = -1): TokenLogprob {
  const text = Buffer.from(bytes).toString();
  const top = [{ token: 2, text: "z", bytes: [0x7a], logprob: -0.25 }];
  return { token: 1, text, bytes, logprob, top };
}
const letter = (text: string): TokenLogprob => entry([...Buffer.from(text)]);
const END: TokenLogprob = { token: 9, text: "<|im_end|>", bytes: [], logprob: 0, top: [] };

/** Texts and offsets of what is told with each piece. */
function toldWith(...pieces: readonly (readonly [string, ...TokenLogprob[]])[]): unknown[] {
  const told = new TextLogprobs((placed) => ({
    of: placed.map((one) => [one.entry.text, one.offset]),
  }));
  return pieces.map(([text, ...logprobs]) => Object.values(told.of({ text, logprobs }))[0]);
}

it("come with the text that begins in them, counted in characters", () => {
  const [a, b, c] = [[0xf0, 0x9f], [0x98], [0x80, 0x21]].map((bytes) => entry(bytes));
  if (!a || !b || !c) throw new Error("three tokens");
  expect(toldWith(["", a], ["😀!", b, c], ["i", letter("i")])).toEqual([
    [],
    [
      ["\ufffd", 0],
      ["\ufffd", 0],
      ["\ufffd!", 0],
    ],
    [["i", 2]],
  ]);
});

it("wait while their text may yet be a stop string, and are told once", () => {
  const pieces = toldWith(["a", letter("a"), letter("bc")], ["b"], ["cd", letter("d")]);
  expect(pieces).toEqual([[["a", 0]], [["bc", 1]], [["d", 3]]]);
});

it("are not told of what a stop string cut off, nor of the model's end", () => {
  expect(toldWith(["ab", letter("a"), letter("b"), letter("c"), letter("d")])).toEqual([
    [
      ["a", 0],
      ["b", 1],
    ],
  ]);
  expect(toldWith(["ab", letter("ab"), END], ["", END])).toEqual([[["ab", 0]], []]);
  // One within the text is told with it.
  expect(toldWith(["ab", letter("a"), END, letter("b")])).toEqual([
    [
      ["a", 0],
      ["<|im_end|>", 1],
      ["b", 1],
    ],
  ]);
});

it("of chats have tokens, bytes and their likeliest", () => {
  const told = new TextLogprobs(CHAT_LOGPROBS);
  const logprobs = [entry([0xc3], -2), END, letter("b")];
  const top = [{ token: "z", logprob: -0.25, bytes: [0x7a] }];
  expect(told.of({ text: "\ufffdb", logprobs })).toEqual({
    content: [
      { token: "\ufffd", logprob: -2, bytes: [0xc3], top_logprobs: top },
      { token: "<|im_end|>", logprob: 0, bytes: null, top_logprobs: [] },
      { token: "b", logprob: -1, bytes: [0x62], top_logprobs: top },
    ],
    refusal: null,
  });
});

it("of completions name parts of characters by their bytes", () => {
  const told = new TextLogprobs(COMPLETION_LOGPROBS);
  const logprobs = [letter("a"), entry([0xc3], -2), entry([0xa9], -3)];
  expect(told.of({ text: "aé", logprobs })).toEqual({
    tokens: ["a", "bytes:\\xc3", "bytes:\\xa9"],
    token_logprobs: [-1, -2, -3],
    top_logprobs: [
      { z: -0.25, a: -1 },
      { z: -0.25, "bytes:\\xc3": -2 },
      { z: -0.25, "bytes:\\xa9": -3 },
    ],
    text_offset: [0, 1, 1],
  });
});

import { expect } from "vitest";
import type { Logprobs } from "../proto/gen/contix/v1/calls.js";
import type { Piece, TokenLogprob } from "./index.js";
import { test } from "./testing-support/attached.js";
import type { FakeKernel } from "./testing-support/fake-kernel.js";

/** On the wire: each token is its first byte's. */
function wire(...tokens: readonly (string | number[])[]): Logprobs {
  const likely = (one: string | number[]) => {
    const bytes = typeof one === "string" ? Buffer.from(one) : Buffer.from(one);
    return { token: bytes[0] ?? 0, logprob: -0.5, bytes, special: "" };
  };
  const end = { token: 258, logprob: -3, bytes: Buffer.alloc(0), special: "<|im_end|>" };
  return { tokens: tokens.map((one) => ({ ...likely(one), top: [likely(one), end] })) };
}

/** The same as the SDK shows it. */
function shown(token: number, text: string, bytes: readonly number[]): TokenLogprob {
  const itself = { token, text, bytes, logprob: -0.5 };
  const end = { token: 258, text: "<|im_end|>", bytes: [], logprob: -3 };
  return { ...itself, top: [itself, end] };
}

const done = { tokens: [97, 195, 169], finish: "eos", seed: 7n, stop: "", edit: undefined };
const ENTRIES = [
  shown(97, "a", [97]),
  shown(0xc3, "\ufffd", [0xc3]),
  shown(0xa9, "\ufffd", [0xa9]),
];

/** A kernel that tells what it is asked for; the last token gives no text of its own. */
function answer(kernel: FakeKernel): void {
  kernel.on("generate", (call, { stream, logprobs }, session) => {
    const told = logprobs === undefined ? {} : { logprobs: wire("a", [0xc3], [0xa9]) };
    if (stream) session.chunk(call, "a", told.logprobs && wire("a"));
    if (stream) session.chunk(call, "é", told.logprobs && wire([0xc3]));
    session.reply(call, "generate", { ...done, ...told, text: "aé" });
  });
}

async function read(pieces: AsyncIterable<Piece>): Promise<Piece[]> {
  const all: Piece[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

test("come with the result, each with its text, its bytes and the likeliest", async ({
  kernel,
  os,
}) => {
  answer(kernel);
  expect((await os.llm.generate("x", { logprobs: 2 })).logprobs).toEqual(ENTRIES);
  expect(kernel.calls[0]?.call?.value).toMatchObject({ logprobs: 2 });
});

test("are asked for with 0 too, and not by default", async ({ kernel, os }) => {
  answer(kernel);
  expect((await os.llm.generate("x", { logprobs: 0 })).logprobs).toHaveLength(3);
  expect((await os.llm.generate("x")).logprobs).toBeUndefined();
  expect((await os.llm.generate("x", { logprobs: undefined })).logprobs).toBeUndefined();
  const asked = kernel.calls.map(({ call }) => call?.value);
  expect(asked).toMatchObject([{ logprobs: 0 }, { logprobs: undefined }, { logprobs: undefined }]);
});

test("come in pieces with the text of a stream, and what gave no text at the end", async ({
  kernel,
  os,
}) => {
  answer(kernel);
  const stream = os.llm.generate("x", { logprobs: 1 });
  const pieces = await read(stream.pieces());
  expect(pieces).toEqual([
    { text: "a", logprobs: ENTRIES.slice(0, 1) },
    { text: "é", logprobs: ENTRIES.slice(1, 2) },
    { text: "", logprobs: ENTRIES.slice(2) },
  ]);
  expect((await stream).logprobs).toEqual(ENTRIES);
  // Nothing but text for who reads the text, and no entries for who did not ask.
  const texts: string[] = [];
  for await (const text of os.llm.generate("x", { logprobs: 1 })) texts.push(text);
  expect(texts).toEqual(["a", "é"]);
  const plain = await read(os.llm.generate("x").pieces());
  expect(plain.map(({ logprobs }) => logprobs)).toEqual([[], []]);
});

test("come in one piece when the result was awaited first", async ({ kernel, os }) => {
  answer(kernel);
  const generation = os.llm.generate("x", { logprobs: 1 });
  await generation;
  expect(await read(generation.pieces())).toEqual([{ text: "aé", logprobs: ENTRIES }]);
});

test("of no number are refused before anything is sent", async ({ kernel, os }) => {
  for (const logprobs of [-1, 1.5, Number.NaN]) {
    await expect(os.llm.generate("x", { logprobs })).rejects.toThrow(/^logprobs: /);
  }
  await expect(os.llm.generate("x", { logprobs: true as never })).rejects.toThrow(/^logprobs: /);
  expect(kernel.calls).toHaveLength(0);
});

/**
 * The ways in. Law 2 tells tokens that enter by prefill from those that enter by decode,
 * since attention over KV in floats sums one query's scores and several queries' in
 * another order. Over KV in int8 it does not (docs/decisions/0010): here the whole graph is
 * held to that, by the bytes that a sequence leaves in its slot and the logits on its way.
 */
import { createHash } from "node:crypto";
import { expect } from "vitest";
import type { Model } from "../../servers/llm/engine/model.js";
import { OnnxModel } from "../../servers/llm/engine/onnx-model.js";
import { PAGE_TOKENS } from "../../servers/llm/engine/pages.js";
import { hash } from "./law2.js";
import type { Dice } from "./law2-story.js";

/** What a sequence left behind. */
export interface Entered {
  /** By position: a hash of the logits, where there were any. */
  readonly logits: ReadonlyMap<number, number>;
  /** By page: a hash of its bytes; of the last page's tokens only. */
  readonly pages: readonly string[];
}

/** How many tokens enter together, of those that are left; one enters by decode. */
export type Chunking = (left: number) => number;

/** Chunkings of every kind: all at once, of fixed sizes, by dice with single tokens among them. */
export function chunkings(dice: Dice): ReadonlyMap<string, Chunking> {
  const sizes = [2, 3, 16, 31, 64, 65];
  const fixed = sizes.map((size): [string, Chunking] => [`chunks of ${size}`, () => size]);
  const mixed = ["one", "another", "a third"].map((what): [string, Chunking] => [
    `${what} mixture`,
    () => (dice.chance(0.3) ? 1 : dice.int(2, dice.pick([4, 20, 100]))),
  ]);
  return new Map([["all at once", (left) => left], ...fixed, ...mixed]);
}

/** Enters `tokens` into an empty slot. */
export async function enter(
  model: Model,
  slot: number,
  tokens: readonly number[],
  chunking: Chunking,
): Promise<Entered> {
  const logits = new Map<number, number>();
  for (let at = 0; at < tokens.length; ) {
    const chunk = tokens.slice(at, at + chunking(tokens.length - at));
    const [token = 0] = chunk;
    const [last] =
      chunk.length === 1
        ? await model.decode([{ slot, position: at, token, wantLogits: true }])
        : [await model.prefill(slot, at, chunk, true)];
    at += chunk.length;
    if (last) logits.set(at - 1, hash(last));
  }
  return { logits, pages: pagesIn(model, slot, tokens.length) };
}

function pagesIn({ pages }: Model, slot: number, length: number): string[] {
  return Array.from({ length: Math.ceil(length / PAGE_TOKENS) }, (_, page) => {
    const start = page * PAGE_TOKENS;
    const count = Math.min(PAGE_TOKENS, length - start);
    pages.save(slot, start, count, 0);
    const digest = createHash("sha256");
    // Behind the tokens of a short page its frame has what was there before.
    for (const piece of pages.frame(0)) {
      digest.update(piece.subarray(0, (piece.length * count) / PAGE_TOKENS));
    }
    return digest.digest("hex");
  });
}

/** Expects the same bits of everything that both have. */
export function expectSameBits(got: Entered, want: Entered, where: string): void {
  expect(got.pages, where).toEqual(want.pages);
  expect(got.logits.size, where).toBeGreaterThan(0);
  for (const [position, bits] of got.logits) {
    expect(bits, `${where}: logits at ${position}`).toBe(want.logits.get(position));
  }
}

/** Holds the compiled model in `dir` to it, by one thread and by two. */
export async function proveOneWay(
  dir: string,
  tokens: readonly number[],
  dice: Dice,
): Promise<void> {
  let want: Entered | undefined;
  for (const threads of [1, 2]) {
    const shape = { slots: 2, slotTokens: tokens.length + 1, threads, pageMemory: 2 ** 24 };
    const model = await OnnxModel.open(dir, shape);
    try {
      const singly = await enter(model, 0, tokens, () => 1);
      expect(singly.logits.size).toBe(tokens.length);
      want ??= singly;
      expectSameBits(singly, want, `singly, ${threads} threads`);
      for (const [name, chunking] of chunkings(dice)) {
        const got = await enter(model, 1, tokens, chunking);
        expectSameBits(got, want, `${name}, ${threads} threads`);
      }
    } finally {
      await model.close();
    }
  }
}

/** Law 2 for every kind of node that a family adds: no schedule changes a bit. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OnnxModel } from "../engine/onnx-model.js";
import { compile } from "./compile.js";
import { type FamilySpec, familyWeights } from "./testing/family-gguf.js";
import { FAMILY_SPECS } from "./testing/family-specs.js";
import { tinyInput } from "./tiny.js";

/** Between them they have every feature. */
const NAMES = [
  "llama, biases everywhere",
  "llama, padded vocabulary",
  "qwen2, untied, biased head, no bias of q, k and v",
  "qwen3",
  "gemma2",
  "gemma3",
] as const;

const SLOTS = 4;
const SLOT_TOKENS = 120;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "contix-law2-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function open(spec: FamilySpec, threads: number): Promise<OnnxModel> {
  const input = tinyInput({ recipe: "q8" });
  const name = `${spec.arch} ${JSON.stringify(spec.shape)}`;
  const weightsDigest = Buffer.from(name).toString("hex").padEnd(64, "0").slice(-64);
  const compiled = await compile(dir, {
    ...input,
    shape: spec.shape,
    weightsDigest,
    source: familyWeights(spec),
  });
  return OnnxModel.open(compiled, { slots: SLOTS, slotTokens: SLOT_TOKENS, threads });
}

const tokens = (count: number, from = 0): number[] =>
  Array.from({ length: count }, (_, i) => ((from + i) * 37 + 11) % 512);

const row = (slot: number, position: number, token: number) => ({
  slot,
  position,
  token,
  wantLogits: true,
});

/** Enters a prompt in chunks; a last one of a single token joins the chunk before it. */
async function enter(model: OnnxModel, slot: number, prompt: readonly number[], size: number) {
  let last: Float32Array | undefined;
  for (let at = 0; at < prompt.length; ) {
    const left = prompt.length - at;
    const take = left - size < 2 ? left : size;
    last = await model.prefill(slot, at, prompt.slice(at, at + take), true);
    at += take;
  }
  return [...(last ?? [])];
}

/** The logits of `steps` tokens entered one by one, alone. */
async function decodeAlone(model: OnnxModel, slot: number, from: number, steps: number) {
  const out: number[][] = [];
  for (let i = 0; i < steps; i++) {
    const [logits] = await model.decode([row(slot, from + i, 3 * i + slot)]);
    out.push([...(logits ?? [])]);
  }
  return out;
}

describe.each(NAMES)("%s", (name) => {
  const spec = FAMILY_SPECS[name];
  if (!spec) throw new Error(name);

  it("a prompt gives the same bits in chunks, at any number of threads", async () => {
    const first = new Map<number, unknown>();
    for (const threads of [1, 2]) {
      const model = await open(spec, threads);
      for (const length of [17, 70, 97]) {
        const whole = await enter(model, 0, tokens(length), length);
        const [next] = await model.decode([row(0, length, 7)]);
        const expected = { whole, next: [...(next ?? [])] };
        expect(first.get(length) ?? expected).toEqual(expected);
        first.set(length, expected);
        for (const size of [2, 3, 8, 31, 64]) {
          expect(await enter(model, 1, tokens(length), size)).toEqual(whole);
        }
        // The next token reads every key and value that the chunks left.
        const [again] = await model.decode([row(1, length, 7)]);
        expect([...(again ?? [])]).toEqual(expected.next);
      }
      await model.close();
    }
  });

  it("a row gives the same bits alone and beside ragged others", async () => {
    const model = await open(spec, 2);
    const lengths = [40, 5, 71, 12];
    const alone: number[][][] = [];
    for (const [slot, length] of lengths.entries()) {
      await enter(model, slot, tokens(length, slot * 9), length);
      alone.push(await decodeAlone(model, slot, length, 12));
    }
    for (let i = 0; i < 12; i++) {
      const rows = lengths.map((length, slot) => row(slot, length + i, 3 * i + slot));
      const logits = await model.decode(rows);
      for (const slot of lengths.keys()) {
        expect([...(logits[slot] ?? [])]).toEqual(alone[slot]?.[i]);
      }
    }
    await model.close();
  });
});

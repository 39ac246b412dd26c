import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { TINY_SHAPE, tinyModel } from "../models/tiny.js";
import { OnnxModel } from "./onnx-model.js";

let home: string;
let dir: string;
let model: OnnxModel;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "contix-onnx-"));
  dir = await tinyModel(home);
});
afterAll(() => rm(home, { recursive: true, force: true }));

beforeEach(async () => {
  model = await OnnxModel.open(dir, { slots: 4, slotTokens: 160, threads: 2 });
});
afterEach(() => model.close());

const tokens = (count: number, from = 0): number[] =>
  Array.from({ length: count }, (_, i) => ((from + i) * 37 + 11) % TINY_SHAPE.vocab);

const row = (slot: number, position: number, token = 7) => ({
  slot,
  position,
  token,
  wantLogits: true,
});

/** The logits after one token more, which depend on every bit in the slot. */
async function probe(slot: number, position: number): Promise<number[]> {
  const [logits] = await model.decode([row(slot, position)]);
  return [...(logits ?? [])];
}

test("a slot is at most as long as the model's window", async () => {
  const long = await OnnxModel.open(dir, { slots: 1, slotTokens: 1_000_000, threads: 1 });
  expect(long.info.slotTokens).toBe(TINY_SHAPE.window);
  await long.close();
});

test.each([3, 17, 64, 65, 66, 129, 150])(
  "a prompt of %i gives the same bits in chunks",
  async (n) => {
    const prompt = tokens(n);
    const whole = [...((await model.prefill(0, 0, prompt, true)) ?? [])];
    for (const size of [2, 3, 31, 64, 65]) {
      let last: Float32Array | undefined;
      for (let at = 0; at < n; ) {
        const left = n - at;
        const take = left - size < 2 ? left : size;
        last = await model.prefill(1, at, prompt.slice(at, at + take), true);
        at += take;
      }
      expect([...(last ?? [])]).toEqual(whole);
      expect(await probe(1, n)).toEqual(await probe(0, n));
    }
  },
);

test("rows come back in the order of those who want logits", async () => {
  for (const slot of [0, 1, 2, 3]) await model.prefill(slot, 0, tokens(5, slot * 9), false);
  const alone: number[][] = [];
  for (const slot of [0, 1, 2, 3]) alone[slot] = await probe(slot, 5);
  const rows = [row(3, 5), { ...row(0, 5), wantLogits: false }, row(1, 5)];
  const logits = await model.decode(rows);
  expect(logits.map((row) => [...row])).toEqual([alone[3], alone[1]]);
});

test("a run that nobody wants logits of gives none", async () => {
  expect(await model.prefill(0, 0, tokens(4), false)).toBeUndefined();
  expect(await model.decode([{ ...row(0, 4), wantLogits: false }])).toEqual([]);
});

test("a slot between the rows keeps its content", async () => {
  for (const slot of [0, 1, 2]) await model.prefill(slot, 0, tokens(20, slot), false);
  await model.prefill(3, 0, tokens(20, 1), false);
  for (let at = 20; at < 30; at++) await model.decode([row(0, at), row(2, at)]);
  expect(await probe(1, 20)).toEqual(await probe(3, 20));
});

test("a full slot between the rows keeps its content", async () => {
  const full = tokens(160);
  await model.prefill(1, 0, full, false);
  await model.prefill(3, 0, full, false);
  for (const slot of [0, 2]) await model.prefill(slot, 0, tokens(20, slot), false);
  const [first, second] = await model.decode([row(2, 20), row(0, 20)]);
  expect([...(first ?? [])]).toEqual(await probe(2, 20));
  expect([...(second ?? [])]).toEqual(await probe(0, 20));
  expect(await probe(1, 159)).toEqual(await probe(3, 159));
});

test("a copy is the slot, as far as it goes", async () => {
  await model.prefill(0, 0, tokens(40), false);
  await model.prefill(2, 0, tokens(50, 99), false);
  await model.copy(0, 2, 30);
  await model.prefill(1, 0, tokens(40).slice(0, 30), false);
  expect(await probe(2, 30)).toEqual(await probe(1, 30));
});

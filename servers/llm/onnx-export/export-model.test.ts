import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { llamaWeights, SMALL_SHAPE } from "../models/testing/llama-gguf.js";
import { referenceLogits } from "../models/testing/reference.js";
import { compileExport } from "./compile-export.js";
import { readCompiledExport } from "./compiled-export.js";
import { ExportModel } from "./export-model.js";
import { type TinyExportOptions, tinyExport } from "./testing/tiny-export.js";

const { vocab, window } = SMALL_SHAPE;
let home: string;
/** Logits after 40 tokens, and after each of the next greedy ones. */
const reference: Float32Array[] = [];
beforeAll(async () => {
  const context = tokens(40);
  for (let i = 0; i < 6; i++) {
    const all = await referenceLogits(SMALL_SHAPE, llamaWeights(), context);
    const last = all.at(-1) ?? new Float32Array();
    reference.push(last);
    context.push(argmax(last));
  }
  home = await mkdtemp(join(tmpdir(), "contix-export-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

const KINDS: Readonly<Record<string, TinyExportOptions>> = {
  plain: {},
  "plain, with positions and a choice of logits": { positions: true, keep: true },
  "merged, half floats": { merged: true, kv: "fp16" },
  grouped: { grouped: true },
  "a graph that minds how long a run is": { byLength: true },
  "run-wide scales by their operator": { runWide: "operator" },
  "run-wide scales by plain operators": { runWide: "plain" },
};

let made = 0;
async function compiled(options: TinyExportOptions): Promise<string> {
  const dir = join(home, `export-${made++}`);
  await tinyExport(dir, options);
  return compileExport(dir, join(home, "compiled"), { name: "tiny-export" });
}

const tokens = (count: number, from = 0): number[] =>
  Array.from({ length: count }, (_, i) => ((from + i) * 37 + 11) % vocab);

const row = (slot: number, position: number, token = 7) => ({
  slot,
  position,
  token,
  wantLogits: true,
});

function argmax(values: Float32Array): number {
  return values.reduce((best, value, i) => (value > (values[best] ?? 0) ? i : best), 0);
}

describe.each(Object.entries(KINDS))("%s", (_, options) => {
  let dir: string;
  let model: ExportModel;
  const open = (threads = 2) => ExportModel.open(dir, { slots: 3, slotTokens: window, threads });
  beforeAll(async () => {
    dir = await compiled(options);
    model = await open();
  });
  afterAll(() => model?.close());

  /** The logits after one token more, which depend on every bit in the slot. */
  async function probe(slot: number, position: number): Promise<number[]> {
    const [logits] = await model.decode([row(slot, position)]);
    return [...(logits ?? [])];
  }

  test("blocks are as large as law 2 allows", async () => {
    expect((await readCompiledExport(dir)).block).toBe(options.runWide ? 1 : 32);
  });

  test("gives the reference's logits and its greedy tokens", async () => {
    // Quantized activations are another function: close, but no longer the same tokens.
    if (options.runWide) return;
    let logits = (await model.prefill(0, 0, tokens(40), true)) ?? new Float32Array();
    for (const [i, expected] of reference.entries()) {
      const far = Math.max(...logits.map((value, id) => Math.abs(value - (expected[id] ?? 0))));
      expect(far).toBeLessThan(options.kv === "fp16" ? 0.05 : 1e-3);
      expect(argmax(logits)).toBe(argmax(expected));
      [logits = new Float32Array()] = await model.decode([row(0, 40 + i, argmax(expected))]);
    }
  });

  test.each([3, 31, 32, 33, 64, 65, 130])("%i tokens are the same bits in chunks", async (n) => {
    const prompt = tokens(n);
    const whole = [...((await model.prefill(0, 0, prompt, true)) ?? [])];
    for (const size of [2, 3, 31, 33, 64]) {
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
  });

  test("given tokens after generated ones are the same bits, rebuilt and in chunks", async () => {
    const given = tokens(20, 300);
    const build = async (slot: number, cuts: readonly number[]) => {
      await model.prefill(slot, 0, tokens(11), false);
      for (let at = 11; at < 15; at++) await model.decode([row(slot, at, at)]);
      let from = 0;
      for (const to of [...cuts, given.length]) {
        await model.prefill(slot, 15 + from, given.slice(from, to), false);
        from = to;
      }
      return probe(slot, 35);
    };
    const whole = await build(0, []);
    expect(await build(1, [2, 17])).toEqual(whole);
    expect(await build(1, [4, 9])).toEqual(whole);
  });

  test("generated tokens stay as they were when given ones enter behind them", async () => {
    for (const slot of [0, 1]) {
      await model.prefill(slot, 0, tokens(11), false);
      for (let at = 11; at < 15; at++) await model.decode([row(slot, at, at)]);
    }
    await model.prefill(1, 15, tokens(20, 300), false);
    // As when a context is cut back to what it was.
    expect(await probe(1, 15)).toEqual(await probe(0, 15));
  });

  test("who else runs changes nothing, nor does the number of threads", async () => {
    for (const slot of [0, 1, 2]) await model.prefill(slot, 0, tokens(40 + slot, slot), false);
    const alone = await probe(1, 41);
    const rows = [row(2, 42), { ...row(0, 40), wantLogits: false }, row(1, 41)];
    const logits = await model.decode(rows);
    expect([...(logits[1] ?? [])]).toEqual(alone);
    expect(logits.length).toBe(2);
    const single = await open(1);
    await single.prefill(0, 0, tokens(41, 1), false);
    const [again] = await single.decode([row(0, 41)]);
    await single.close();
    expect([...(again ?? [])]).toEqual(alone);
  });

  test("a copy is the slot as far as it goes, and the slot stays what it was", async () => {
    await model.prefill(0, 0, tokens(70), false);
    await model.prefill(2, 0, tokens(50, 99), false);
    const before = await probe(0, 70);
    await model.copy(0, 2, 45);
    await model.prefill(1, 0, tokens(45), false);
    expect(await probe(2, 45)).toEqual(await probe(1, 45));
    const more = tokens(20, 200);
    const goOn = async (slot: number) => [...((await model.prefill(slot, 45, more, true)) ?? [])];
    expect(await goOn(2)).toEqual(await goOn(1));
    expect(await probe(0, 70)).toEqual(before);
  });
});

describe("a window that is no multiple of the block", () => {
  let model: ExportModel;
  afterEach(() => model?.close());

  test("is used to its last token, in any chunks", async () => {
    const dir = await compiled({ positions: true });
    model = await ExportModel.open(dir, { slots: 2, slotTokens: 1_000_000, threads: 1 });
    expect(model.info.slotTokens).toBe(window);
    const prompt = tokens(window);
    const whole = [...((await model.prefill(0, 0, prompt, true)) ?? [])];
    await model.prefill(1, 0, prompt.slice(0, window - 3), false);
    expect([...((await model.prefill(1, window - 3, prompt.slice(-3), true)) ?? [])]).toEqual(
      whole,
    );
  });

  test("slots shorter than the window end where they should", async () => {
    const dir = await compiled({});
    model = await ExportModel.open(dir, { slots: 1, slotTokens: 50, threads: 1 });
    const long = await ExportModel.open(dir, { slots: 1, slotTokens: window, threads: 1 });
    const logits = [...((await model.prefill(0, 0, tokens(50), true)) ?? [])];
    expect(logits).toEqual([...((await long.prefill(0, 0, tokens(50), true)) ?? [])]);
    await long.close();
  });

  test("a position beyond the slot's tokens is refused", async () => {
    const dir = await compiled({});
    model = await ExportModel.open(dir, { slots: 2, slotTokens: 50, threads: 1 });
    await model.prefill(0, 0, tokens(5), false);
    await expect(model.decode([row(0, 6)])).rejects.toThrow(/slot 0 has 5 tokens, not 6/);
    await expect(model.copy(0, 1, 6)).rejects.toThrow(/slot 0 has 5 tokens, not 6/);
  });
});

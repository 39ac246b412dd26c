import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compileEmbedder } from "./compile-embedder.js";
import { type Embedder, openEmbedder } from "./embedder.js";
import {
  referenceBert,
  safetensors,
  TINY_BERT,
  tinyBert,
  tinyBertWeights,
} from "./testing/tiny-bert.js";

let home: string;
let source: string;
let compiled: string;
let embedder: Embedder;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "contix-embed-"));
  source = join(home, "source");
  await tinyBert(source);
  compiled = await compileEmbedder(source, join(home, "compiled"), { name: "tiny-bert" });
  embedder = await openEmbedder(compiled);
});
afterAll(async () => {
  await embedder?.close();
  await rm(home, { recursive: true, force: true });
});

let copies = 0;
/** A copy of the source, in which `change` has changed something. */
async function changed(change: (dir: string) => Promise<unknown>): Promise<string> {
  const dir = join(home, `changed-${copies++}`);
  await cp(source, dir, { recursive: true });
  await change(dir);
  return dir;
}

const compileChanged = async (change: (dir: string) => Promise<unknown>) =>
  compileEmbedder(await changed(change), join(home, "compiled"), { name: "changed" });

const setJson = (name: string, fields: object) => async (dir: string) => {
  const json = JSON.parse(await readFile(join(dir, name), "utf8"));
  await writeFile(join(dir, name), JSON.stringify({ ...json, ...fields }));
};

/** The ids of letters: a is 4. */
const ids = (text: string): number[] => [2, ...[...text].map((c) => c.charCodeAt(0) - 93), 3];
const spaced = (text: string): string => [...text].join(" ");

function unit(rows: readonly Float64Array[]): number[] {
  const sums = Array.from({ length: TINY_BERT.hidden }, (_, i) =>
    rows.reduce((sum, row) => sum + (row[i] ?? 0), 0),
  );
  const length = Math.hypot(...sums);
  return sums.map((sum) => sum / length);
}

function far(vector: Float32Array | undefined, expected: readonly number[]): number {
  return Math.max(...expected.map((value, i) => Math.abs(value - (vector?.[i] ?? Number.NaN))));
}

test("gives the mean of the reference's vectors, 1 long", async () => {
  expect(embedder).toMatchObject({ dimensions: 32, maxTokens: 16, name: "tiny-bert" });
  for (const text of ["", "a", "hello", "thequickbrown"]) {
    const [vector] = await embedder.embed([spaced(text)]);
    expect(far(vector, unit(referenceBert(tinyBertWeights(), ids(text))))).toBeLessThan(1e-5);
  }
});

test("a vector is the same bits alone and among others, on one thread and two", async () => {
  const texts = ["a b c", "", "z", "a b d", "q w e r t y u i o p", "a b c", "[CLS] x"];
  const together = await embedder.embed(texts);
  await using single = await openEmbedder(compiled, { threads: 1 });
  for (const [i, text] of texts.entries()) {
    for (const each of [embedder, single]) {
      const [alone] = await each.embed([text]);
      expect([...(alone ?? [])]).toEqual([...(together[i] ?? [])]);
    }
  }
  const atOnce = await Promise.all(texts.map((text) => embedder.embed([text])));
  expect(atOnce.map(([vector]) => [...(vector ?? [])])).toEqual(together.map((v) => [...v]));
});

test("of a long text the beginning counts", async () => {
  const fits = "abcdefghijklmn"; // 14, and the model's two
  const [long, short] = await embedder.embed([spaced(`${fits}xyz`), spaced(fits)]);
  expect([...(long ?? [])]).toEqual([...(short ?? [])]);
  expect(far(long, unit(referenceBert(tinyBertWeights(), ids(fits))))).toBeLessThan(1e-5);
});

test("the name of a special token in a text is text", async () => {
  const [named, spelled] = await embedder.embed(["a [SEP] b", "a [ sep ] b"]);
  expect([...(named ?? [])]).toEqual([...(spelled ?? [])]);
});

test("takes the first token's vector where the model says so", async () => {
  const dir = await compileChanged(
    setJson("1_Pooling/config.json", {
      pooling_mode_cls_token: true,
      pooling_mode_mean_tokens: false,
    }),
  );
  expect(dir).not.toBe(compiled);
  await using cls = await openEmbedder(dir);
  const [vector] = await cls.embed([spaced("hello")]);
  const expected = unit(referenceBert(tinyBertWeights(), ids("hello")).slice(0, 1));
  expect(far(vector, expected)).toBeLessThan(1e-5);
});

test("an ONNX export gives the same as its weights", async () => {
  const dir = await changed((to) => cp(join(compiled, "model.onnx"), join(to, "model.onnx")));
  const exported = await compileEmbedder(dir, join(home, "compiled"), { name: "exported" });
  expect(exported).not.toBe(compiled);
  await using other = await openEmbedder(exported);
  const [vectors, expected] = await Promise.all([other.embed(["a b"]), embedder.embed(["a b"])]);
  expect([...(vectors[0] ?? [])]).toEqual([...(expected[0] ?? [])]);
});

test("compiles once; closed, it embeds no more", async () => {
  expect(await compileEmbedder(source, join(home, "compiled"), { name: "again" })).toBe(compiled);
  const closing = await openEmbedder(compiled);
  await closing.close();
  await expect(closing.embed(["a"])).rejects.toMatchObject({ code: "ESHUTDOWN" });
  await expect(embedder.embed(["a"], { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
});

describe("refuses, and leaves nothing", () => {
  const cut = (bytes: number) => async (dir: string) => {
    const path = join(dir, "model.safetensors");
    await writeFile(path, (await readFile(path)).subarray(0, bytes));
  };
  const weights =
    (change: (all: Map<string, { shape: readonly number[]; values: Float32Array }>) => void) =>
    async (dir: string) => {
      const all = new Map(tinyBertWeights());
      change(all);
      await writeFile(join(dir, "model.safetensors"), safetensors(all));
    };
  const table = "embeddings.word_embeddings.weight";
  test.each<[string, (dir: string) => Promise<unknown>, RegExp]>([
    ["no weights", (dir) => rm(join(dir, "model.safetensors")), /neither ONNX nor/],
    ["no tokenizer", (dir) => rm(join(dir, "tokenizer.json")), /no tokenizer.json/],
    ["no configuration", (dir) => rm(join(dir, "config.json")), /no config.json/],
    ["weights cut in their head", cut(100), /its head is damaged/],
    ["weights cut in their length", cut(5), /its head is damaged/],
    ["weights cut in a tensor", cut(40_000), /tensor .* is damaged/],
    [
      "a missing tensor",
      weights((all) => all.delete("encoder.layer.1.output.dense.bias")),
      /have no encoder\.layer\.1\.output\.dense\.bias/,
    ],
    [
      "a tensor of another shape",
      weights((all) =>
        all.set(table, { shape: [32, 40], values: all.get(table)?.values ?? new Float32Array() }),
      ),
      /F32 \[32, 40\], not F32 \[40, 32\]/,
    ],
    [
      "a tensor of no number",
      weights((all) =>
        all.set(table, { shape: [40, 32], values: new Float32Array(40 * 32).fill(Number.NaN) }),
      ),
      /gives no numbers/,
    ],
    [
      "heads that do not divide",
      setJson("config.json", { num_attention_heads: 5 }),
      /5 heads do not divide 32/,
    ],
    [
      "another activation",
      setJson("config.json", { hidden_act: "relu" }),
      /hidden_act must be gelu/,
    ],
    ["no layers", setJson("config.json", { num_hidden_layers: 0 }), /num_hidden_layers/],
    [
      "a window of nothing",
      setJson("sentence_bert_config.json", { max_seq_length: 2 }),
      /2 tokens at most/,
    ],
    [
      "another pooling",
      setJson("1_Pooling/config.json", { pooling_mode_max_tokens: true }),
      /mean_tokens and pooling_mode_max_tokens/,
    ],
    [
      "a tokenizer of a larger model",
      setJson("config.json", { vocab_size: 20 }),
      /F32|tokens that the model/,
    ],
  ])("%s", async (_, change, message) => {
    await expect(compileChanged(change)).rejects.toMatchObject({
      code: "EMODEL",
      message: expect.stringMatching(message),
    });
  });
});

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readCompiled } from "./compiled.js";
import { TestSession } from "./testing/session.js";
import { tinyModel } from "./tiny.js";

let root: string;
let dir: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "contix-tiny-"));
  dir = await tinyModel(root);
});
afterAll(() => rm(root, { recursive: true }));

it("is whole, named by its digest, and made once", async () => {
  const config = await readCompiled(dir);
  expect(config).toMatchObject({ name: "tiny", layers: 2, vocab: 512, recipe: "q8" });
  expect(config.eosIds).toEqual([256, 258]);
  expect(dir).toBe(join(root, config.engineDigest));
  expect(await tinyModel(root)).toBe(dir);
  const other = await tinyModel(root, { seed: 2 });
  expect(other).not.toBe(dir);
  expect((await readdir(root)).sort()).toEqual(
    [dir, other].map((d) => d.slice(root.length + 1)).sort(),
  );
});

it("is the same bytes when two make it at once", async () => {
  const again = await mkdtemp(join(tmpdir(), "contix-tiny-"));
  const made = await Promise.all([tinyModel(again), tinyModel(again)]);
  expect(made[0]).toBe(made[1]);
  expect(await readdir(again)).toHaveLength(1);
  for (const file of ["model.onnx", "weights.bin", "tokenizer.json", "config.json"]) {
    const bytes = await readFile(join(dir, file));
    expect(bytes.equals(await readFile(join(made[0], file)))).toBe(true);
  }
  await rm(again, { recursive: true });
});

it("tokenizes any text and gives it back, and knows its special tokens", async () => {
  const json = JSON.parse(await readFile(join(dir, "tokenizer.json"), "utf8"));
  expect(Object.keys(json.model.vocab)).toHaveLength(512);
  const tokenizer = new Tokenizer(json, {});
  const text = "<|im_start|>user\nthe end<|im_end|>";
  const ids = tokenizer.encode(text, { add_special_tokens: false }).ids;
  expect(ids[0]).toBe(257);
  expect(ids.at(-1)).toBe(258);
  expect(ids.length).toBeLessThan(text.length - 18);
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (sample) => {
      const encoded = tokenizer.encode(sample, { add_special_tokens: false }).ids;
      const decoded = tokenizer.decode(encoded, { clean_up_tokenization_spaces: false });
      return decoded === sample;
    }),
  );
});

it("has lively logits, and greedy output that wanders", async () => {
  const session = await TestSession.open(dir);
  for (const prompt of ["Hello there", "1 2 3", "Who am I?"]) {
    const out = await session.greedy([...Buffer.from(prompt)], 64);
    expect(new Set(out).size).toBeGreaterThan(Math.min(24, out.length / 2));
  }
});

/**
 * Law 2 through the whole kernel, on the real model: a sample of contexts, so many as
 * CONTIX_LAW2_CONTEXTS says (`npm run test:long`: 200).
 */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { readCompiled } from "../../servers/llm/models/compiled.js";
import { openLibrary } from "../../servers/llm/models/library.js";
import { openTextServer } from "../../servers/llm/text/server.js";
import { lawSeed } from "./law2.js";
import { lives } from "./law2-contexts.js";
import { proveContexts } from "./law2-contexts-proof.js";
import { Dice } from "./law2-story.js";

const MODEL = "smollm2-135m-instruct";
const SEED = lawSeed();
const TEXT = new URL("../../bench/texts/tom-sawyer.txt", import.meta.url);

const COUNT = Number(process.env.CONTIX_LAW2_CONTEXTS || 40);

// Minutes of both cores: `npm run test:law2`, and CI, which pulls the model.
const skip = process.env.CONTIX_LAW2 !== "real";

test.skipIf(skip).each([
  ["fp32", COUNT],
  ["int8", Math.ceil(COUNT / 3)],
] as const)(
  `whatever happens to contexts of ${MODEL}, KV in %s, they say the same: %i of them, seed ${SEED}`,
  async (kv, count) => {
    const library = openLibrary();
    await library.pull(MODEL);
    const dir = await library.compiled(MODEL, { kv });
    const { layers, kvHeads, headDim } = await readCompiled(dir);
    const pageBytes = 2 * layers * kvHeads * headDim * (kv === "fp32" ? 4 : 1) * 16;
    const source = await tokensOf(dir);
    const sample = lives(new Dice(SEED), { count, source });
    const seconds = await proveContexts(dir, { seed: SEED, lives: sample, pageBytes, frames: 16 });
    expect(Object.keys(seconds)).toHaveLength(4);
    console.log(`law2-contexts, KV in ${kv}, seconds: ${JSON.stringify(seconds)}`);
  },
  1_800_000,
);

async function tokensOf(dir: string): Promise<number[]> {
  const text = await openTextServer(dir);
  try {
    const book = (await readFile(TEXT, "utf8")).slice(0, 40_000);
    return await text.encode(book, { special: false, start: false });
  } finally {
    await text.close();
  }
}

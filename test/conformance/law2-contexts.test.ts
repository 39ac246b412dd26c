/** Law 2 through the whole kernel, on the tiny model. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Form } from "../../servers/llm/models/compiled.js";
import { TINY_SHAPE, tinyModel } from "../../servers/llm/models/tiny.js";
import { lawSeed } from "./law2.js";
import { lives, TestedKernel } from "./law2-contexts.js";
import { proveContexts } from "./law2-contexts-proof.js";
import { Dice } from "./law2-story.js";

const SEED = lawSeed();

const FORMS: readonly Form[] = [
  { recipe: "q8", kv: "fp32" },
  { recipe: "int8", kv: "int8" },
];

test.each(FORMS)(
  `whatever happens to contexts of the tiny model, KV in $kv, they say the same; seed ${SEED}`,
  async (form) => {
    const home = await mkdtemp(join(tmpdir(), "contix-tiny-"));
    try {
      const dir = await tinyModel(home, form);
      const dice = new Dice(SEED);
      const { layers, kvHeads, headDim, vocab } = TINY_SHAPE;
      const source = Array.from({ length: 2000 }, () => dice.int(0, vocab - 1));
      const pageBytes = 2 * layers * kvHeads * headDim * (form.kv === "fp32" ? 4 : 1) * 16;
      const sample = lives(dice, { count: 20, source });
      const proof = { seed: SEED, lives: sample, pageBytes, frames: 12 };
      const seconds = await proveContexts(dir, proof);
      expect(Object.keys(seconds)).toHaveLength(4);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  },
  180_000,
);

test("where KV is in int8 an answer that is given to another context is found, and goes on alike", async () => {
  const home = await mkdtemp(join(tmpdir(), "contix-pasted-"));
  try {
    const dir = await tinyModel(home, { recipe: "int8", kv: "int8" });
    const config = { slots: 4, threads: 1 };
    const kept = { config, pageMemory: 2 ** 22 };
    const given = Array.from({ length: 40 }, (_, i) => (i * 31) % TINY_SHAPE.vocab);
    const answer = { maxTokens: 60, temperature: 0.9, seed: 5, ignoreEos: true };
    const more = { maxTokens: 20, temperature: 0.9, seed: 6, ignoreEos: true };
    await using kernel = await TestedKernel.open(dir, kept);
    await using first = await kernel.os.ctx.create();
    await first.append({ tokens: given });
    const { tokens } = await first.generate(answer);
    const history = [...given, ...tokens, 7, 8];
    const goOn = async ({ os }: TestedKernel) => {
      await using context = await os.ctx.create();
      await context.append({ tokens: history });
      return await context.generate(more);
    };
    const found = await goOn(kernel);
    // The last token of the answer was never entered.
    expect(found.usage.cachedTokens).toBe(Math.floor((given.length + 59) / 16) * 16);
    await using fresh = await TestedKernel.open(dir, { config, pageMemory: 0 });
    const alone = await goOn(fresh);
    expect(alone.usage.cachedTokens).toBe(0);
    expect(found.tokens).toEqual(alone.tokens);
    expect(found.text).toBe(alone.text);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}, 60_000);

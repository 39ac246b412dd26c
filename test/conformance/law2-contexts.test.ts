/** Law 2 through the whole kernel, on the tiny model. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TINY_SHAPE, tinyModel } from "../../servers/llm/models/tiny.js";
import { lawSeed } from "./law2.js";
import { lives } from "./law2-contexts.js";
import { proveContexts } from "./law2-contexts-proof.js";
import { Dice } from "./law2-story.js";

const SEED = lawSeed();

test(`whatever happens to contexts of the tiny model, they say the same; seed ${SEED}`, async () => {
  const home = await mkdtemp(join(tmpdir(), "contix-tiny-"));
  try {
    const dir = await tinyModel(home);
    const dice = new Dice(SEED);
    const { layers, kvHeads, headDim, vocab } = TINY_SHAPE;
    const source = Array.from({ length: 2000 }, () => dice.int(0, vocab - 1));
    const pageBytes = 2 * layers * kvHeads * headDim * 4 * 16;
    const sample = lives(dice, { count: 20, source });
    const seconds = await proveContexts(dir, { seed: SEED, lives: sample, pageBytes, frames: 12 });
    expect(Object.keys(seconds)).toHaveLength(4);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}, 180_000);

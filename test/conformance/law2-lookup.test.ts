/** Guesses change no answer of the tiny model. law2-lookup-real has the real one. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OnnxModel } from "../../servers/llm/engine/onnx-model.js";
import type { Form } from "../../servers/llm/models/compiled.js";
import { TINY_SHAPE, tinyModel } from "../../servers/llm/models/tiny.js";
import { lawSeed } from "./law2.js";
import { proveLookup, proveRuns } from "./law2-lookup.js";
import { Dice } from "./law2-story.js";

const SEED = lawSeed();

const FORMS: readonly Form[] = [
  { recipe: "q8", kv: "int8" },
  { recipe: "int8", kv: "int8" },
];

test.each(FORMS)(
  `guesses change no answer of the tiny model, $recipe with KV in $kv, seed ${SEED}`,
  async (form) => {
    const home = await mkdtemp(join(tmpdir(), "contix-lookup-"));
    const dice = new Dice(SEED);
    // A text that repeats itself, with variations.
    const piece = Array.from({ length: 12 }, () => dice.int(0, TINY_SHAPE.vocab - 1));
    const source = Array.from({ length: 600 }, (_, i) =>
      dice.chance(0.05) ? dice.int(0, TINY_SHAPE.vocab - 1) : (piece[i % 12] ?? 0),
    );
    try {
      const dir = await tinyModel(home, form);
      const open = { slots: 2, slotTokens: 150, threads: 2, lookup: 8 };
      const model = await OnnxModel.open(dir, open);
      for (let i = 0; i < 4; i++) await proveRuns(model, dice);
      await model.close();
      // Stories in which nothing was guessed prove nothing: then those of the next seed.
      let runs = 0;
      for (let seed = SEED; runs === 0 && seed < SEED + 8; seed++) {
        const proof = await proveLookup(dir, {
          seed,
          source,
          count: 8,
          stops: ["e", "ab", "the", "\n", "\ufffd"],
          longestGiven: 100,
          longestAnswer: 60,
          slotTokens: 1024,
          lookup: 6,
        });
        runs = proof.runs;
      }
      expect(runs).toBeGreaterThan(0);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  },
);

/** Guesses change no answer: on a model that is a hash, and on the tiny one. law2-lookup-real has the real one. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { OnnxModel } from "../../servers/llm/engine/onnx-model.js";
import { HashModel, letters } from "../../servers/llm/engine/testing/hash-model.js";
import type { Form } from "../../servers/llm/models/compiled.js";
import { TINY_SHAPE, tinyModel } from "../../servers/llm/models/tiny.js";
import { alone, expectSame, lawSeed, stories, together } from "./law2.js";
import { proveLookup, proveRuns, Tally } from "./law2-lookup.js";
import { Dice } from "./law2-story.js";

const SEED = lawSeed();

test("whatever is guessed, each story is the one that decode alone tells", async () => {
  const tally = new Tally();
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
      const dice = new Dice(seed);
      // Few tokens, so that a guess is often right by chance.
      const shape = { slots: 3, slotTokens: dice.pick([60, 300]), vocab: 5, eosIds: [3] };
      const lookup = dice.int(1, 9);
      const options = {
        source: Array.from({ length: 100 }, (_, i) => (i * i) % 5),
        stops: ["a", "bc", "ceb", "bbb"],
        longestGiven: 30,
        longestAnswer: 40,
      };
      const told = stories(dice, { ...options, count: 8 }).filter(fits(shape.slotTokens));
      const model = () => new HashModel({ ...shape, lookup });
      const subject = { detokenizer: letters, lookup };
      const want = await alone({ ...subject, model: model(), lookup: 0 }, told);
      expectSame(seed, told, want, await alone({ ...subject, model: tally.of(model()) }, told));
      expectSame(seed, told, want, await together({ ...subject, model: model() }, told, [], dice));
    }),
    { numRuns: 150 },
  );
  expect(tally.right).toBeGreaterThan(100);
  expect(tally.guessed - tally.right).toBeGreaterThan(100);
});

/** Whether all given tokens and one more fit a slot, if every answer is as long as it may be. */
function fits(slotTokens: number) {
  return ({ turns }: ReturnType<typeof stories>[number]): boolean => {
    let length = 0;
    for (const { given, burst } of turns) {
      if (length + given.length >= slotTokens) return false;
      length += given.length + burst.maxTokens;
    }
    return true;
  };
}

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
      const { runs } = await proveLookup(dir, {
        seed: SEED,
        source,
        count: 8,
        stops: ["e", "ab", "the", "\n", "\ufffd"],
        longestGiven: 100,
        longestAnswer: 60,
        slotTokens: 1024,
        lookup: 6,
      });
      expect(runs).toBeGreaterThan(0);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  },
);

test("only a model with KV in int8 checks guesses", async () => {
  const home = await mkdtemp(join(tmpdir(), "contix-lookup-"));
  try {
    for (const [kv, can] of [
      ["fp32", false],
      ["int8", true],
    ] as const) {
      const dir = await tinyModel(home, { recipe: "q8", kv });
      const model = await OnnxModel.open(dir, { slots: 2, slotTokens: 64, threads: 1, lookup: 4 });
      expect(model.verify !== undefined).toBe(can);
      await model.close();
    }
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

/** Law 2 on the tiny model: the whole driver but for its process. law2-real has the real one. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Form } from "../../servers/llm/models/compiled.js";
import { TINY_SHAPE, tinyModel } from "../../servers/llm/models/tiny.js";
import { lawSeed, proveLaw2 } from "./law2.js";
import { Dice } from "./law2-story.js";

const SEED = lawSeed();

const FORMS: readonly Form[] = [
  { recipe: "q8", kv: "fp32" },
  { recipe: "int8", kv: "fp32" },
  { recipe: "int8", kv: "int8" },
];

test.each(FORMS)(
  `a schedule never changes an answer of the tiny model, $recipe with KV in $kv, seed ${SEED}`,
  async (form) => {
    const home = await mkdtemp(join(tmpdir(), "contix-law2-"));
    const dice = new Dice(SEED);
    try {
      await proveLaw2(await tinyModel(home, form), {
        seed: SEED,
        source: Array.from({ length: 1000 }, () => dice.int(0, TINY_SHAPE.vocab - 1)),
        stops: ["e", "ab", "the", "\n", "\ufffd"],
        longestGiven: 300,
        longestAnswer: 40,
        slotTokens: 1024,
      });
    } finally {
      await rm(home, { recursive: true, force: true });
    }
    expect.hasAssertions();
  },
);

/** Law 2 with pages, on the tiny model in every form, and on the real one when asked for. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OnnxModel } from "../../servers/llm/engine/onnx-model.js";
import type { Form } from "../../servers/llm/models/compiled.js";
import { openLibrary } from "../../servers/llm/models/library.js";
import { tinyModel } from "../../servers/llm/models/tiny.js";
import { lawSeed } from "./law2.js";
import { PagedTeller, SLOTS } from "./law2-pages.js";
import { Dice } from "./law2-story.js";

const SEED = lawSeed();

const FORMS: readonly Form[] = [
  { recipe: "q8", kv: "fp32" },
  { recipe: "int8", kv: "fp32" },
  { recipe: "int8", kv: "int8" },
];

/** Tells `count` stories undisturbed, and again with their contexts paged. */
async function proveWithPages(dir: string, count: number): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), "contix-law2-pages-"));
  const dice = new Dice(SEED);
  const shape = { slots: SLOTS, slotTokens: 512, threads: 2 };
  const model = await OnnxModel.open(dir, { ...shape, pageMemory: 64 * 2 ** 20 });
  try {
    const teller = await PagedTeller.open(model, home, dice);
    for (let i = 0; i < count; i++) {
      const length = dice.int(4, dice.pick([40, 200]));
      const story = {
        given: Array.from({ length }, () => dice.int(0, model.info.vocab - 1)),
        seed: BigInt(dice.int(0, 2 ** 31)),
        answer: dice.int(2, 24),
      };
      const want = await teller.alone(story);
      expect(want.logits.length).toBe(story.answer);
      const where = `seed ${SEED}, story ${i}, ${length} given tokens`;
      expect(await teller.paged(story), where).toEqual(want);
    }
    await teller.close();
  } finally {
    await model.close();
    await rm(home, { recursive: true, force: true });
  }
}

test.each(FORMS)(
  `pages change no answer of the tiny model, $recipe with KV in $kv, seed ${SEED}`,
  async (form) => {
    const home = await mkdtemp(join(tmpdir(), "contix-law2-"));
    try {
      await proveWithPages(await tinyModel(home, form), 40);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
    expect.hasAssertions();
  },
);

const MODEL = "smollm2-135m-instruct";

test.skipIf(process.env.CONTIX_LAW2 !== "real").each(["fp32", "int8"] as const)(
  `pages change no answer of ${MODEL}, KV in %s, seed ${SEED}`,
  async (kv) => {
    const library = openLibrary();
    await library.pull(MODEL);
    await proveWithPages(await library.compiled(MODEL, { kv }), 10);
  },
  600_000,
);

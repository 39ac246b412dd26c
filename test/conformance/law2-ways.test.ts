/** Over KV in int8 all ways in are one, on the tiny model and, when asked for, on the real one. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { OnnxModel } from "../../servers/llm/engine/onnx-model.js";
import type { Form } from "../../servers/llm/models/compiled.js";
import { openLibrary } from "../../servers/llm/models/library.js";
import { TINY_SHAPE, tinyModel } from "../../servers/llm/models/tiny.js";
import { openTextServer } from "../../servers/llm/text/server.js";
import { lawSeed } from "./law2.js";
import { Dice } from "./law2-story.js";
import { enter, proveOneWay } from "./law2-ways.js";

const SEED = lawSeed();
const FORMS: readonly Form[] = [
  { recipe: "q8", kv: "int8" },
  { recipe: "int8", kv: "int8" },
];

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "contix-ways-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

function random(dice: Dice, length: number): number[] {
  return Array.from({ length }, () => dice.int(0, TINY_SHAPE.vocab - 1));
}

test.each(FORMS)(
  `prefill and decode leave the same bits in the tiny model, $recipe with KV in $kv, seed ${SEED}`,
  async (form) => {
    const dice = new Dice(SEED);
    const dir = await tinyModel(home, form);
    for (const length of [dice.int(2, 40), 333]) await proveOneWay(dir, random(dice, length), dice);
  },
);

test("over KV in floats they do not, and that shows in pages and in logits", async () => {
  const tokens = random(new Dice(1), 200);
  const dir = await tinyModel(home, { recipe: "q8", kv: "fp32" });
  const shape = { slots: 2, slotTokens: 256, threads: 1, pageMemory: 2 ** 24 };
  const model = await OnnxModel.open(dir, shape);
  try {
    const singly = await enter(model, 0, tokens, () => 1);
    const whole = await enter(model, 1, tokens, (left) => left);
    expect(whole.pages).toHaveLength(13);
    expect(whole.pages).not.toEqual(singly.pages);
    expect(whole.logits.get(199)).not.toBe(singly.logits.get(199));
  } finally {
    await model.close();
  }
});

const MODEL = "smollm2-135m-instruct";
const TEXT = new URL("../../bench/texts/tom-sawyer.txt", import.meta.url);

// As law2-real: `npm run test:law2`, and CI, which pulls the model.
test.skipIf(process.env.CONTIX_LAW2 !== "real").each(FORMS)(
  `prefill and decode leave the same bits in ${MODEL}, $recipe with KV in $kv, seed ${SEED}`,
  async (form) => {
    const library = openLibrary();
    await library.pull(MODEL);
    const dir = await library.compiled(MODEL, form);
    const text = await openTextServer(dir);
    const source = (await readFile(TEXT, "utf8")).slice(0, 10_000);
    const tokens = await text.encode(source, { special: false, start: true });
    await text.close();
    const dice = new Dice(SEED);
    for (const length of [dice.int(2, 100), 600]) {
      await proveOneWay(dir, tokens.slice(0, length), dice);
    }
  },
  600_000,
);

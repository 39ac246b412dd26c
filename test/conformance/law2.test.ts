/** Law 2 on the tiny model: the whole driver but for the process. The real one: law2-real. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { OnnxModel } from "../../servers/llm/engine/onnx-model.js";
import { tinyModel } from "../../servers/llm/models/tiny.js";
import { openTextServer, type TextServer } from "../../servers/llm/text/server.js";
import { alone, expectSame, stories, together } from "./law2.js";
import { Dice } from "./law2-story.js";

const SLOTS = 16;
const SEED = Number(process.env.LAW2_SEED ?? Math.floor(Math.random() * 2 ** 31));

let home: string;
let dir: string;
let text: TextServer;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "contix-law2-"));
  dir = await tinyModel(home);
  text = await openTextServer(dir);
});

afterAll(async () => {
  await text?.close();
  await rm(home, { recursive: true, force: true });
});

async function withModel<T>(threads: number, use: (model: OnnxModel) => Promise<T>): Promise<T> {
  const model = await OnnxModel.open(dir, { slots: SLOTS, slotTokens: 1024, threads });
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}

test(`64 stories alone and under schedules of dice, seed ${SEED}`, async () => {
  const dice = new Dice(SEED);
  const options = {
    source: Array.from({ length: 1000 }, () => dice.int(0, 511)),
    stops: ["e", "ab", "the", "\n", "\ufffd"],
    longestGiven: 300,
    longestAnswer: 40,
  };
  const told = stories(dice, { ...options, count: 64 });
  const noise = stories(dice, { ...options, count: 16 });
  const detokenizer = () => text.detokenizer();
  const want = await withModel(1, (model) => alone({ model, detokenizer }, told));
  expect(want.every((answers) => answers.length > 0)).toBe(true);
  for (const threads of [1, 2]) {
    const got = await withModel(threads, (model) =>
      together({ model, detokenizer }, told, noise, dice),
    );
    expectSame(SEED, told, want, got);
  }
});

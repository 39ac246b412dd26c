/** Law 2 on exports of the tiny model, run as they came. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TINY_SHAPE } from "../../servers/llm/models/tiny.js";
import { compileExport } from "../../servers/llm/onnx-export/compile-export.js";
import { ExportModel } from "../../servers/llm/onnx-export/export-model.js";
import {
  type TinyExportOptions,
  tinyExport,
} from "../../servers/llm/onnx-export/testing/tiny-export.js";
import { lawSeed, proveLaw2 } from "./law2.js";
import { Dice } from "./law2-story.js";

const SEED = lawSeed();

test.each<[string, TinyExportOptions]>([
  ["of plain operators", { positions: true }],
  ["of grouped attention", { grouped: true }],
  ["of two branches and half floats", { merged: true, kv: "fp16" }],
  ["of activations scaled by the run", { runWide: "operator" }],
])(`a schedule never changes an answer of an export ${"%s"}, seed ${SEED}`, async (_, options) => {
  const home = await mkdtemp(join(tmpdir(), "contix-law2-"));
  const dice = new Dice(SEED);
  try {
    await tinyExport(join(home, "export"), options);
    const dir = await compileExport(join(home, "export"), home, { name: "tiny-export" });
    await proveLaw2(dir, {
      seed: SEED,
      source: Array.from({ length: 1000 }, () => dice.int(0, TINY_SHAPE.vocab - 1)),
      stops: ["e", "ab", "the", "\n", "\ufffd"],
      longestGiven: 60,
      longestAnswer: 12,
      slotTokens: 256,
      open: ExportModel.open,
    });
  } finally {
    await rm(home, { recursive: true, force: true });
  }
  expect.hasAssertions();
});

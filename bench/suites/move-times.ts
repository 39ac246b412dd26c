/**
 * What it takes to move pages, by the driver's own code in this process: several at once, as
 * plans have them, between a slot and RAM, and through the swap file.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OnnxModel } from "../../servers/llm/engine/onnx-model.js";
import { PAGE_TOKENS } from "../../servers/llm/engine/pages.js";
import { SwapFile } from "../../servers/llm/engine/swap-file.js";
import type { MeasuredMove } from "../sim/sched/fit.js";
import { compiledModel } from "./model.js";
import { Moves } from "./page-moves.js";

/** Pages of a move. */
const COUNTS = [1, 4, 16, 32];
const ROUNDS = 8;
const PAGE_MEMORY = 256 * 2 ** 20;

export async function measureMoves(name: string, threads: number): Promise<MeasuredMove[]> {
  const folder = await mkdtemp(join(tmpdir(), "contix-moves-"));
  const most = Math.max(...COUNTS);
  const slotTokens = 2 * most * PAGE_TOKENS;
  const options = { slots: 2, slotTokens, threads, pageMemory: PAGE_MEMORY };
  const model = await OnnxModel.open(await compiledModel(name), options);
  try {
    const { pages } = model;
    const swap = await SwapFile.open(join(folder, "swap"), 2 * most * pages.bytes, pages);
    try {
      const prompt = Array.from({ length: most * PAGE_TOKENS }, (_, i) => 2 + (i % 100));
      await model.prefill(0, 0, prompt, false);
      // The first round touches memory and finds code that is not compiled yet.
      await round(model, swap);
      const rounds: MeasuredMove[] = [];
      for (let i = 0; i < ROUNDS; i++) rounds.push(...(await round(model, swap)));
      return rounds;
    } finally {
      await swap.close();
    }
  } finally {
    await model.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function round(model: OnnxModel, swap: SwapFile): Promise<MeasuredMove[]> {
  const moves: MeasuredMove[] = [];
  for (const pages of COUNTS) {
    const tokens = pages * PAGE_TOKENS;
    const through = new Moves(model, swap, pages);
    const time = async (kind: MeasuredMove["kind"], move: () => unknown): Promise<void> => {
      const start = performance.now();
      await move();
      moves.push({ kind, pages, us: (performance.now() - start) * 1000 });
    };
    await time("page", () => model.pages.save(0, 0, tokens, 0));
    await time("page", () => model.pages.load(0, 1, 0, tokens));
    await time("write", () => through.swapOut());
    await time("read", () => through.swapIn());
  }
  return moves;
}

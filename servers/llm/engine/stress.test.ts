/**
 * The binding under collection: whatever native code points to is held, and nothing piles up.
 * Thousands of small steps of every kind, with garbage collected by force all the time.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { tinyModel } from "../models/tiny.js";
import { OnnxModel } from "./onnx-model.js";

const ROUNDS = 500;
const MIB = 2 ** 20;

setFlagsFromString("--expose-gc");
const gc: (options?: { type: "minor" }) => void = runInNewContext("gc");

/** Young objects, and from time to time all. */
function collect(i: number): void {
  if (i % 16 === 0) gc();
  else gc({ type: "minor" });
}

/**
 * By how much the memory at the end is above that at the start, MiB, each the least of `span`
 * samples: what a collector or an allocator keeps for a while is no growth, a leak never goes.
 */
function growth(samples: readonly number[], span: number): number {
  return (Math.min(...samples.slice(-span)) - Math.min(...samples.slice(0, span))) / MIB;
}

/** Two prompts, a few tokens after them, and a copy; ends in a sum over their logits. */
async function round(model: OnnxModel, i: number): Promise<number> {
  const length = 2 + (i % 60);
  const prompt = Array.from({ length }, (_, at) => (i + at) % 512);
  const slots = [i % 4, (i + 2) % 4];
  let sum = 0;
  for (const slot of slots) {
    const logits = await model.prefill(slot, 0, prompt, i % 2 === slot % 2);
    sum += logits?.[i % 512] ?? 0;
  }
  collect(i);
  for (let step = 0; step < 4; step++) {
    const rows = slots.map((slot) => ({
      slot,
      position: length + step,
      token: i % 512,
      wantLogits: step % 2 === slot % 2,
    }));
    for (const logits of await model.decode(rows)) sum += logits[i % 512] ?? 0;
  }
  collect(i);
  await model.copy(i % 4, (i + 1) % 4, length);
  return sum;
}

test("thousands of steps under forced collection give the same, and grow by nothing", async () => {
  const home = await mkdtemp(join(tmpdir(), "contix-stress-"));
  const dir = await tinyModel(home);
  const open = () => OnnxModel.open(dir, { slots: 4, slotTokens: 128, threads: 2 });
  try {
    const model = await open();
    const first: number[] = [];
    const resident: number[] = [];
    for (let i = 0; i < 2 * ROUNDS; i++) {
      const sum = await round(model, i % ROUNDS);
      if (i < ROUNDS) first.push(sum);
      else expect(sum).toBe(first[i % ROUNDS]);
      if (i >= ROUNDS) resident.push(process.memoryUsage.rss());
    }
    expect(growth(resident, 100)).toBeLessThan(16);
    await model.close();

    // Opening and closing gives everything back.
    resident.length = 0;
    for (let i = 0; i < 30; i++) {
      const again = await open();
      await round(again, i);
      await again.close();
      gc();
      if (i >= 10) resident.push(process.memoryUsage.rss());
    }
    expect(growth(resident, 8)).toBeLessThan(32);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

/** One row's step against what the memory allows. */
import { alternate } from "../harness/alternate.js";
import { Bandwidth } from "../harness/bandwidth.js";
import { type Figure, figure } from "../harness/report.js";
import { summarize } from "../harness/stats.js";
import { kvBytesPerToken, weightBytes } from "../harness/step-bytes.js";
import type { EngineOptions } from "./engine.js";
import { medianStep, type OurEngine } from "./engine-sides.js";

/** Readings of every block: about a fifth of a second. */
const PASSES = 4;

/** @param dir the compiled model that `ours` runs @param prompts one */
export async function memoryFigures(
  ours: OurEngine,
  dir: string,
  prompts: readonly number[][],
  { steps, rounds, threads }: Pick<EngineOptions, "steps" | "rounds" | "threads">,
): Promise<Figure[]> {
  const context = prompts[0]?.length ?? 0;
  await using memory = await Bandwidth.open(threads);
  const runs = await alternate<number>(rounds, [
    { name: "step", run: async () => medianStep(await ours.decode(prompts, steps)) },
    { name: "bandwidth", run: () => memory.measure(PASSES) },
  ]);
  const stepMs = runs.get("step") ?? [];
  const bandwidth = runs.get("bandwidth") ?? [];
  // The context grows while it is timed; the median step sees it half way.
  const bytes = (await weightBytes(dir)) + (context + steps / 2) * (await kvBytesPerToken(dir));
  const best = summarize(bandwidth).max;
  const cell = `rows1.ctx${context}`;
  return [
    figure(
      `${cell}.bandwidth`,
      "GB/s",
      bandwidth.map((rate) => rate / 1e9),
    ),
    figure(`${cell}.stepBytes`, "MB", [bytes / 1e6]),
    // Against the best round: what takes bandwidth from a round takes it from the step as well.
    figure(
      `${cell}.overBandwidth`,
      "×",
      stepMs.map((ms) => ms / ((bytes / best) * 1000)),
    ),
  ];
}

/** Prefill figures: one prompt from nothing, every side in turns. */
import { alternate, type Side } from "../harness/alternate.js";
import { type Figure, figure } from "../harness/report.js";
import { pairedRatio, summarize } from "../harness/stats.js";
import type { Contestants } from "./engine.js";
import { tunePrefill, words } from "./engine-tune.js";
import { say } from "./suite.js";

export async function prefillFigures(
  { ours, int8, llama }: Contestants,
  prompt: readonly number[],
  rounds: number,
  tuned: Map<string, string>,
): Promise<Figure[]> {
  const name = `prefill${prompt.length}`;
  const rate = async (seconds: Promise<number>): Promise<number> => prompt.length / (await seconds);
  const sides: Side<number>[] = [{ name: "contix", run: () => rate(ours.prefill(prompt)) }];
  if (int8) sides.push({ name: "contix.int8kv", run: () => rate(int8.prefill(prompt)) });
  for (const [format, engine] of llama) {
    const side = format === "same" ? "llama" : `llama.${format}`;
    const how = words(await tunePrefill(engine, prompt));
    say(`${name}: ${side} is fastest by: ${how}`);
    tuned.set(`${name}.${side}`, how);
    sides.push({ name: side, run: () => rate(engine.prefill(prompt)) });
  }
  const runs = await alternate<number>(rounds, sides, (side, round, speed) =>
    say(`${name} round ${round + 1}: ${side} ${speed.toFixed(0)} tok/s`),
  );
  const figures = [...runs].map(([side, speeds]) => figure(`${name}.${side}`, "tok/s", speeds));
  const contix = runs.get("contix") ?? [];
  const same = runs.get("llama");
  if (same === undefined) return figures;
  figures.push(figure(`${name}.ratio`, "×", pairedRatio(contix, same)));
  const formats = [...runs].filter(([side]) => /^llama\.Q/.test(side)).map(([, speeds]) => speeds);
  if (formats.length > 0) {
    const median = (speeds: readonly number[]): number => summarize(speeds).median;
    const best = formats.reduce((a, b) => (median(b) > median(a) ? b : a), same);
    figures.push(figure(`${name}.ratio.bestFormat`, "×", pairedRatio(contix, best)));
  }
  return figures;
}

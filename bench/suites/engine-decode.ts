/** Decode figures of one cell: so many rows at such a context, every side in turns. */
import { setTimeout as sleep } from "node:timers/promises";
import { alternate, type Side } from "../harness/alternate.js";
import { type Figure, figure } from "../harness/report.js";
import { pairedRatio, type Summary, summarize } from "../harness/stats.js";
import type { Contestants, EngineOptions } from "./engine.js";
import { type DecodeRun, medianStep, speed } from "./engine-sides.js";
import { tuneDecode, words } from "./engine-tune.js";
import { say } from "./suite.js";

/** Contexts from here on are measured with int8 KV too: below, its size is no matter. */
const INT8_FROM = 512;

/** Where @huggingface/transformers runs too, as [rows, context]: it enters its prompts anew each time. */
const HUB_CELLS: readonly (readonly [number, number])[] = [
  [1, 64],
  [16, 64],
  [8, 512],
];

/** Threads of another side that still spin after its run have gone to sleep by then. */
const SETTLE_MS = 100;

export async function decodeFigures(
  contestants: Contestants,
  prompts: readonly number[][],
  options: Pick<EngineOptions, "steps" | "rounds">,
  tuned: Map<string, string>,
): Promise<Figure[]> {
  const context = prompts[0]?.length ?? 0;
  const cell = `rows${prompts.length}.ctx${context}`;
  const sides = [
    ...ourSides(contestants, prompts, options.steps),
    ...(await llamaSides(contestants, prompts, options.steps, (name, how) =>
      tuned.set(`${cell}.${name}`, how),
    )),
    ...hubSides(contestants, prompts, options.steps),
  ];
  const runs = await alternate<DecodeRun>(options.rounds, sides.map(settled), (side, round, run) =>
    say(
      `${cell} round ${round + 1}: ${side} ${speed(run).toFixed(1)} tok/s, ` +
        `median step ${medianStep(run).toFixed(2)} ms`,
    ),
  );
  return cellFigures(cell, runs);
}

function settled<T>({ name, run }: Side<T>): Side<T> {
  const after = async (round: number): Promise<T> => {
    await sleep(SETTLE_MS);
    return run(round);
  };
  return { name, run: after };
}

function ourSides(
  { ours, int8 }: Contestants,
  prompts: readonly number[][],
  steps: number,
): Side<DecodeRun>[] {
  const sides = [{ name: "contix", run: () => ours.decode(prompts, steps) }];
  if (int8 !== undefined && (prompts[0]?.length ?? 0) >= INT8_FROM) {
    sides.push({ name: "contix.int8kv", run: () => int8.decode(prompts, steps) });
  }
  return sides;
}

async function llamaSides(
  { llama }: Contestants,
  prompts: readonly number[][],
  steps: number,
  onTuned: (name: string, how: string) => void,
): Promise<Side<DecodeRun>[]> {
  const sides: Side<DecodeRun>[] = [];
  for (const [format, engine] of llama) {
    const name = format === "same" ? "llama" : `llama.${format}`;
    const tokens = (prompts[0]?.length ?? 0) + steps + 2;
    const { tuning, pull } = await tuneDecode(engine, prompts, tokens);
    say(`${name} is fastest by: ${words(tuning, pull)}`);
    onTuned(name, words(tuning, pull));
    sides.push({ name, run: () => engine.decode(prompts, steps, pull) });
    if (format === "same" && pull !== "free") {
      sides.push({ name: "llama.free", run: () => engine.decode(prompts, steps, "free") });
    }
  }
  return sides;
}

function hubSides(
  { hub }: Contestants,
  prompts: readonly number[][],
  steps: number,
): Side<DecodeRun>[] {
  const context = prompts[0]?.length;
  if (!HUB_CELLS.some(([rows, length]) => rows === prompts.length && length === context)) return [];
  return [...hub].map(([dtype, engine]) => ({
    name: `hub.${dtype}`,
    run: () => engine.decode(prompts, steps),
  }));
}

/** The figures of a cell from the runs of its sides, by their names. */
export function cellFigures(
  cell: string,
  runs: ReadonlyMap<string, readonly DecodeRun[]>,
): Figure[] {
  const speeds = (side: string): number[] => (runs.get(side) ?? []).map(speed);
  const fastest = (names: readonly string[]): number[] =>
    names.map(speeds).reduce((a, b) => (rate(b) > rate(a) ? b : a), []);
  const all = [...runs.keys()];
  const figures = [
    ...all.map((side) => figure(`${cell}.${side}`, "tok/s", speeds(side))),
    ...all.map((side) =>
      figure(`${cell}.${side}.step`, "ms", (runs.get(side) ?? []).map(medianStep)),
    ),
  ];
  const ratio = (id: string, ours: readonly number[], theirs: readonly number[]): void => {
    if (ours.length === 0 || theirs.length === 0) return;
    const summary: Summary = pairedRatio(ours, theirs);
    figures.push(figure(`${cell}.${id}`, "×", summary));
  };
  const same = fastest(["llama", "llama.free"]);
  // Where a loop a sequence was the fastest way, it is the one side there is.
  const free = runs.has("llama.free") ? speeds("llama.free") : speeds("llama");
  const stepRates = (runs.get("llama") ?? []).map((run) => (run.rows * 1000) / medianStep(run));
  ratio("ratio", speeds("contix"), same);
  ratio("ratio.free", speeds("contix"), free);
  ratio("ratio.step", speeds("contix"), stepRates);
  ratio("ratio.int8kv", speeds("contix.int8kv"), same);
  const formats = all.filter((side) => /^llama\.Q/.test(side));
  if (formats.length > 0) {
    const best = fastest(["llama", "llama.free", ...formats]);
    ratio("ratio.bestFormat", fastest(["contix", "contix.int8kv"]), best);
  }
  ratio("hub.ratio", speeds("contix"), fastest(all.filter((side) => side.startsWith("hub."))));
  if (runs.has("llama")) figures.push(figure(`${cell}.sameFirst`, "of rows", [sameFirst(runs)]));
  return figures;
}

function rate(speeds: readonly number[]): number {
  return speeds.length === 0 ? Number.NEGATIVE_INFINITY : summarize(speeds).median;
}

/** The share of rows whose first token is the same on both sides: that they do the same work. */
function sameFirst(runs: ReadonlyMap<string, readonly DecodeRun[]>): number {
  const first = (side: string): number[] =>
    (runs.get(side)?.[0]?.tokens ?? []).map((row) => row[0] ?? -1);
  const theirs = first("llama");
  const ours = first("contix");
  return ours.filter((token, i) => token === theirs[i]).length / ours.length;
}

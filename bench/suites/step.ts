/**
 * Where a decode step's time goes, in the real driver process under the driver protocol: ONNX
 * Runtime, and what is outside of it, part by part. The driver gets one plan for all steps and
 * says the outcome of each, which is all that passes between it and the kernel in steps in which
 * nobody comes or goes.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PLAIN_DRIVER } from "../../proto/plain-driver.js";
import { startDriver } from "../harness/driver.js";
import { decodePlans, type SamplingName } from "../harness/plans.js";
import { type Figure, figure } from "../harness/report.js";
import { inCheckout } from "../harness/root.js";
import { summarize } from "../harness/stats.js";
import { evaluationText, windows } from "../harness/texts.js";
import { decodeSteps, readTrace, type StepParts } from "../harness/trace.js";
import { compiledModel } from "./model.js";
import { type SuiteResult, say } from "./suite.js";

export interface StepOptions {
  readonly model: string;
  readonly rows: number;
  readonly context: number;
  /** Steps of a round. */
  readonly steps: number;
  readonly rounds: number;
  readonly threads: number;
  readonly seed: number;
}

const SAMPLINGS: readonly SamplingName[] = ["greedy", "top40"];

const PARTS: readonly (keyof StepParts)[] = [
  "period",
  "run",
  "outside",
  "call",
  "prepare",
  "sample",
  "text",
  "stops",
  "encode",
  "write",
  "loop",
];

const NOTES = [
  "Medians over the rounds of each round's median step. outside: the share of a step (from handing one run to ONNX Runtime " +
    "until the next) that is not ONNX Runtime. ms: period = run + outside; outside = call (the way to a native thread and " +
    "back, measured on a call that does nothing) + prepare (the run's inputs) + sample + text (detokenization, the burst) + " +
    "stops + encode and write (the outcome to the kernel) + loop (the event loop's turn at the boundary, the plan).",
];

export async function step(options: StepOptions): Promise<SuiteResult> {
  const { model, rows, context, steps, rounds, threads, seed } = options;
  const dir = await compiledModel(model);
  // In turns: a driver process of its own each time, because its trace is written at its end.
  const rounded = new Map<SamplingName, StepParts[][]>(SAMPLINGS.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const sampling of SAMPLINGS) {
      const parts = await tracedRun(dir, sampling, options);
      rounded.get(sampling)?.push(parts);
      const share = summarize(parts.map(({ share }) => share)).median;
      say(`round ${round + 1}: ${sampling} ${(share * 100).toFixed(1)} % outside ONNX Runtime`);
    }
  }
  const figures = SAMPLINGS.flatMap((name) => figuresOf(name, rounded.get(name) ?? []));
  const parameters = { model, rows, context, steps, rounds, threads, seed };
  return { parameters, figures, notes: NOTES };
}

function figuresOf(sampling: SamplingName, rounds: readonly StepParts[][]): Figure[] {
  const medians = (part: keyof StepParts): number[] =>
    rounds.map((steps) => summarize(steps.map((step) => step[part])).median);
  return [
    figure(`${sampling}.share`, "of a step", medians("share")),
    ...PARTS.map((part) => figure(`${sampling}.${part}`, "ms", medians(part))),
  ];
}

async function tracedRun(
  model: string,
  sampling: SamplingName,
  { rows, context, steps, threads, seed }: StepOptions,
): Promise<StepParts[]> {
  const folder = await mkdtemp(join(tmpdir(), "contix-step-"));
  try {
    const file = join(folder, "trace.json");
    const entry = inCheckout("dist", "bench", "harness", "traced-driver.js");
    const slotTokens = context + steps + 2;
    const open = { model, slots: rows, slotTokens, threads, options: "", ...PLAIN_DRIVER };
    {
      await using driver = await startDriver(entry, open, {
        env: { CONTIX_BENCH_TRACE: file },
      });
      const text = await driver.client.encode(await evaluationText("tom-sawyer"));
      const prompts = windows(text, rows, context, seed);
      const chunk = driver.ready.chunkTokens;
      const work = { prompts, tokens: steps, chunk, firstBurst: 1n, sampling };
      const plans = decodePlans(work);
      await driver.client.run(plans.enter);
      await driver.client.run(plans.decode);
    }
    const parts = decodeSteps(await readTrace(file), rows);
    // The first steps find code that is not compiled yet.
    return parts.slice(Math.floor(parts.length / 4));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

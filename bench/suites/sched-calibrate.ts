/**
 * What a step of the real engine costs, and moving a page: steps of many kinds on the bare
 * driver, moves by the driver's own code (move-times.ts), and the cost that fits them
 * (sim/sched/fit.ts).
 */
import { PLAIN_DRIVER } from "../../proto/plain-driver.js";
import { type BareDriver, startDriver, type TimedOutcome } from "../harness/driver.js";
import { decodePlans } from "../harness/plans.js";
import { inCheckout } from "../harness/root.js";
import { summarize } from "../harness/stats.js";
import { evaluationText, windows } from "../harness/texts.js";
import { type EngineCost, stepUs } from "../sim/sched/cost.js";
import { fitCost, fitMoves, type MeasuredStep } from "../sim/sched/fit.js";
import { compiledModel } from "./model.js";
import { measureMoves } from "./move-times.js";
import { say } from "./suite.js";

const WIDTHS = [1, 2, 4, 8];
const CONTEXTS = [64, 256, 512];
const CHUNKS = [32, 64, 128];
const STEPS = 12;

export interface Calibration {
  readonly cost: EngineCost;
  /** The middle relative error of the fit over all steps. */
  readonly error: number;
}

export async function calibrate(
  model: string,
  threads: number,
  seed: number,
): Promise<Calibration> {
  // Before there is a driver: nobody else is at work.
  const moves = fitMoves(await measureMoves(model, threads));
  const slots = Math.max(...WIDTHS);
  const slotTokens = Math.max(...CONTEXTS) + STEPS + 2;
  await using driver = await startDriver(inCheckout("dist", "servers", "llm", "main.js"), {
    ...{ model: await compiledModel(model), slots, slotTokens, threads, options: "" },
    ...PLAIN_DRIVER,
  });
  const text = await driver.client.encode(await evaluationText("tom-sawyer"));
  const steps: MeasuredStep[] = [];
  const gaps: number[] = [];
  let firstBurst = 1n;
  for (const context of CONTEXTS) {
    for (const [i, width] of WIDTHS.entries()) {
      const prompts = windows(text, width, context, seed);
      const chunk = CHUNKS[i % CHUNKS.length] ?? 64;
      const plans = decodePlans({ prompts, tokens: STEPS, chunk, firstBurst });
      firstBurst += BigInt(width);
      steps.push(...entered(await driver.client.run(plans.enter), plans.enter.chunks));
      const outcomes = await driver.client.run(plans.decode);
      steps.push(...decoded(outcomes, width, context));
      gaps.push(...gapsOf(outcomes));
    }
  }
  const fitted = fitCost(steps);
  const gapUs = Math.max(0, summarize(gaps).median);
  const cost = { ...fitted, ...moves, gapUs };
  say(`calibrated on ${steps.length} steps: ${JSON.stringify(cost)}`);
  return { cost, error: summarize(steps.map((step) => relative(step, cost))).median };
}

type Chunks = Parameters<BareDriver["client"]["run"]>[0]["chunks"];

function entered(outcomes: readonly TimedOutcome[], chunks: Chunks): MeasuredStep[] {
  return outcomes.flatMap(({ outcome }, i) => {
    const chunk = chunks[i];
    if (!chunk) return [];
    const { start, tokens } = chunk;
    return [{ width: 0, context: 0, chunk: tokens.length, start, us: outcome.stepUs }];
  });
}

/** The first steps find code that is not compiled yet. */
function decoded(
  outcomes: readonly TimedOutcome[],
  width: number,
  context: number,
): MeasuredStep[] {
  return outcomes.slice(2).map(({ outcome }, i) => {
    return { width, context: width * (context + i + 1), chunk: 0, start: 0, us: outcome.stepUs };
  });
}

/** From one outcome to the next, what was not the step. */
function gapsOf(outcomes: readonly TimedOutcome[]): number[] {
  return outcomes.slice(3).map(({ atMs, outcome }, i) => {
    const before = outcomes[i + 2];
    return (atMs - (before?.atMs ?? atMs)) * 1000 - outcome.stepUs;
  });
}

function relative(step: MeasuredStep, cost: EngineCost): number {
  return Math.abs(stepUs(cost, step) - step.us) / step.us;
}

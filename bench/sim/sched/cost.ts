/**
 * What the engine takes for a step, as a function of what is in it. A linear model: that
 * is what a step is, work for each row, for each token that attention reads, for each
 * token that enters, and what a run costs however little is in it.
 *
 * Its numbers come from measured steps (fit.ts), or from a file; the defaults are what
 * `bench sched-real --calibration` measured of SmolLM2-135M (int8, fp32 KV) on two cores
 * with AMX, rounded.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";

const Us = z.number().nonnegative();

export const EngineCost = z.strictObject({
  /** A run of the model that decodes. */
  decodeUs: Us,
  /** Each row of it; slots below the highest that has a row are computed too. */
  rowUs: Us,
  /** Each token of the rows' contexts. */
  contextUs: Us,
  /** A run that enters a chunk of a prompt. */
  chunkUs: Us,
  /** Each token of it. */
  tokenUs: Us,
  /** Each token of it for each token before it. */
  depthUs: Us,
  /** From a step's end to the next one's begin. */
  gapUs: Us,
  /** A page between a slot and RAM, or a slot's 16 tokens to another slot. */
  pageUs: Us,
  /** A page from the swap file, and to it; beside the steps. */
  readUs: Us,
  writeUs: Us,
  /** From an answer's last token until its process's next call is in the queue, its pause apart. */
  turnUs: Us,
});
export type EngineCost = z.infer<typeof EngineCost>;

export const DEFAULT_COST: EngineCost = {
  decodeUs: 19_000,
  rowUs: 1_140,
  contextUs: 5.8,
  chunkUs: 14_000,
  tokenUs: 880,
  depthUs: 0.77,
  gapUs: 270,
  pageUs: 90,
  readUs: 660,
  writeUs: 400,
  turnUs: 2_000,
};

/** What a step holds. */
export interface StepWork {
  /** 1 + the highest slot that has a row; 0: no rows. */
  readonly width: number;
  /** Tokens of the rows' contexts. */
  readonly context: number;
  /** Tokens of the chunk, and those before it. */
  readonly chunk: number;
  readonly start: number;
}

export function stepUs(cost: EngineCost, { width, context, chunk, start }: StepWork): number {
  const rows = width === 0 ? 0 : cost.decodeUs + cost.rowUs * width + cost.contextUs * context;
  if (chunk === 0) return rows;
  const depth = chunk * (start + chunk / 2);
  return rows + cost.chunkUs + cost.tokenUs * chunk + cost.depthUs * depth;
}

/** The same engine on a machine that takes `factor` times as long for a step. */
export function scaled(cost: EngineCost, factor: number): EngineCost {
  const { decodeUs, rowUs, contextUs, chunkUs, tokenUs, depthUs } = cost;
  const steps = { decodeUs, rowUs, contextUs, chunkUs, tokenUs, depthUs };
  const times = Object.entries(steps).map(([name, us]) => [name, us * factor]);
  return EngineCost.parse({ ...cost, ...Object.fromEntries(times) });
}

/** Reads a cost as JSON; what the file leaves out is as by default. Throws an Error that names it. */
export function readCost(file: string): EngineCost {
  try {
    const partial = EngineCost.partial().parse(JSON.parse(readFileSync(file, "utf8")));
    return EngineCost.parse({ ...DEFAULT_COST, ...partial });
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message;
    throw new Error(`${file} is no cost of an engine: ${why}`, { cause });
  }
}

/**
 * What a recipe costs in quality: both graphs read the same public-domain texts, teacher-forced,
 * in windows that start from an empty context, and are held against each other token by token.
 */
import { openTextServer } from "../../servers/llm/text/server.js";
import { type Figure, figure } from "../harness/report.js";
import { EVALUATION_TEXTS, evaluationText, windows } from "../harness/texts.js";
import { compiledModel } from "./model.js";
import { Scorer } from "./scorer.js";
import { type SuiteResult, say } from "./suite.js";

export interface QualityOptions {
  readonly model: string;
  /** Tokens of a window; all but the first are scored. */
  readonly window: number;
  /** Windows of each text. */
  readonly windows: number;
  readonly threads: number;
  readonly seed: number;
}

/** Sums over the scored positions of a text. */
interface Tally {
  positions: number;
  q8: number;
  fp32: number;
  agreed: number;
}

export async function quality(options: QualityOptions): Promise<SuiteResult> {
  const q8Dir = await compiledModel(options.model, "q8");
  const fp32Dir = await compiledModel(options.model, "fp32");
  await using q8 = await Scorer.open(q8Dir, options.threads);
  await using fp32 = await Scorer.open(fp32Dir, options.threads);
  const figures: Figure[] = [];
  const all = emptyTally();
  for (const name of EVALUATION_TEXTS) {
    const tokens = await tokensOf(q8Dir, await evaluationText(name));
    const tally = await compare(
      q8,
      fp32,
      windows(tokens, options.windows, options.window, options.seed),
    );
    say(`${name}: ${tally.positions} positions, difference ${difference(tally).toFixed(5)}`);
    figures.push(...figuresOf(`${name}.`, tally));
    add(all, tally);
  }
  figures.unshift(...figuresOf("", all));
  const { model, window, seed } = options;
  const parameters = { model, recipe: "q8", window, windows: options.windows, seed };
  const notes = [
    "Mean negative log-likelihood (nats a token) of each text's tokens, and the share of positions at which both graphs " +
      "have the same likeliest token. Without a text's name: all texts together.",
  ];
  return { parameters, figures, notes };
}

async function tokensOf(compiledDir: string, text: string): Promise<number[]> {
  const server = await openTextServer(compiledDir);
  try {
    return await server.encode(text, { special: false, start: true });
  } finally {
    await server.close();
  }
}

async function compare(q8: Scorer, fp32: Scorer, parts: readonly number[][]): Promise<Tally> {
  const tally = emptyTally();
  for (const part of parts) {
    const ours = await q8.score(part);
    const exact = await fp32.score(part);
    tally.positions += ours.nll.length;
    tally.q8 += sum(ours.nll);
    tally.fp32 += sum(exact.nll);
    tally.agreed += ours.top.filter((token, i) => token === exact.top[i]).length;
  }
  return tally;
}

function figuresOf(prefix: string, tally: Tally): Figure[] {
  const { positions, q8, fp32, agreed } = tally;
  return [
    figure(`${prefix}nll.q8.difference`, "nats/token", [difference(tally)]),
    figure(`${prefix}nll.q8`, "nats/token", [q8 / positions]),
    figure(`${prefix}nll.fp32`, "nats/token", [fp32 / positions]),
    figure(`${prefix}top1.q8`, "of positions", [agreed / positions]),
    figure(`${prefix}positions`, "tokens", [positions]),
  ];
}

function difference({ positions, q8, fp32 }: Tally): number {
  return (q8 - fp32) / positions;
}

function emptyTally(): Tally {
  return { positions: 0, q8: 0, fp32: 0, agreed: 0 };
}

function add(all: Tally, part: Tally): void {
  for (const key of ["positions", "q8", "fp32", "agreed"] as const) all[key] += part[key];
}

function sum(numbers: Float64Array): number {
  return numbers.reduce((a, b) => a + b, 0);
}

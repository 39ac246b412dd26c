/**
 * What a recipe, and a format of the KV, cost in quality: each graph and the fp32 graph read the
 * same public-domain texts, teacher-forced, in windows that start from an empty context, and are
 * held against each other token by token.
 */
import { readCompiled } from "../../servers/llm/models/compiled.js";
import { openTextServer } from "../../servers/llm/text/server.js";
import { type Figure, figure } from "../harness/report.js";
import { EVALUATION_TEXTS, evaluationText, windows } from "../harness/texts.js";
import { compiledModel, exactly } from "./model.js";
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
  ours: number;
  fp32: number;
  agreed: number;
}

const NOTES = [
  "Mean negative log-likelihood (nats a token) of each text's tokens, and the share of positions at which the graph and the " +
    "fp32 graph have the same likeliest token. Without a text's name: all texts together. int8kv.*: the same recipe with its " +
    "keys and values in int8. None of the texts is the one that recipes are calibrated on.",
];

export async function quality(options: QualityOptions): Promise<SuiteResult> {
  const { model, window, seed } = options;
  const dir = (await exactly(model, { kv: "fp32" })) ?? (await compiledModel(model));
  const int8Dir = await exactly(model, { kv: "int8" });
  const fp32Dir = await compiledModel(model, { recipe: "fp32", kv: "fp32" });
  await using fp32 = await Scorer.open(fp32Dir, options.threads);
  const figures = await against(fp32, dir, "", options);
  if (int8Dir !== undefined) figures.push(...(await against(fp32, int8Dir, "int8kv.", options)));
  const { recipe } = await readCompiled(dir);
  const int8kv = int8Dir === undefined ? "this build has none" : "measured";
  const parameters = { model, recipe, int8kv, window, windows: options.windows, seed };
  return { parameters, figures, notes: NOTES };
}

/** The figures of the compiled model in `dir` against the fp32 graph. */
async function against(
  fp32: Scorer,
  dir: string,
  prefix: string,
  options: QualityOptions,
): Promise<Figure[]> {
  await using ours = await Scorer.open(dir, options.threads);
  const figures: Figure[] = [];
  const all = emptyTally();
  for (const name of EVALUATION_TEXTS) {
    const tokens = await tokensOf(dir, await evaluationText(name));
    const parts = windows(tokens, options.windows, options.window, options.seed);
    const tally = await compare(ours, fp32, parts);
    say(
      `${prefix}${name}: ${tally.positions} positions, difference ${difference(tally).toFixed(5)}`,
    );
    figures.push(...figuresOf(`${prefix}${name}.`, tally));
    add(all, tally);
  }
  return [...figuresOf(prefix, all), ...figures];
}

async function tokensOf(compiledDir: string, text: string): Promise<number[]> {
  const server = await openTextServer(compiledDir);
  try {
    return await server.encode(text, { special: false, start: true });
  } finally {
    await server.close();
  }
}

async function compare(scorer: Scorer, fp32: Scorer, parts: readonly number[][]): Promise<Tally> {
  const tally = emptyTally();
  for (const part of parts) {
    const ours = await scorer.score(part);
    const exact = await fp32.score(part);
    tally.positions += ours.nll.length;
    tally.ours += sum(ours.nll);
    tally.fp32 += sum(exact.nll);
    tally.agreed += ours.top.filter((token, i) => token === exact.top[i]).length;
  }
  return tally;
}

function figuresOf(prefix: string, tally: Tally): Figure[] {
  const { positions, ours, fp32, agreed } = tally;
  return [
    figure(`${prefix}nll.difference`, "nats/token", [difference(tally)]),
    figure(`${prefix}nll`, "nats/token", [ours / positions]),
    figure(`${prefix}nll.fp32`, "nats/token", [fp32 / positions]),
    figure(`${prefix}top1`, "of positions", [agreed / positions]),
    figure(`${prefix}positions`, "tokens", [positions]),
  ];
}

function difference({ positions, ours, fp32 }: Tally): number {
  return (ours - fp32) / positions;
}

function emptyTally(): Tally {
  return { positions: 0, ours: 0, fp32: 0, agreed: 0 };
}

function add(all: Tally, part: Tally): void {
  for (const key of ["positions", "ours", "fp32", "agreed"] as const) all[key] += part[key];
}

function sum(numbers: Float64Array): number {
  return numbers.reduce((a, b) => a + b, 0);
}

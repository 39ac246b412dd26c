/**
 * Which form a model gets on this machine, when nobody asks for one: measured, once.
 *
 * `q8` needs no calibration and loses little; `int8` is faster where the CPU multiplies
 * bytes well. `int8` is taken when it decodes at least a tenth faster and its answers
 * stay near those of the fp32 graph, on text that it was not calibrated on: eight windows
 * of 512 tokens, or more of shorter ones. Where a tokenizer makes fewer of the text, those
 * decide, and the reason says how many places they had; where it makes none, q8 stays.
 * KV stays in floats: bytes take a quarter of the memory, but reading a long prompt gets
 * slower, so that is for whoever asks.
 */
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { OnnxModel } from "../engine/onnx-model.js";
import { BASE, textWindows } from "./calibrate.js";
import { type CompileInput, type CompileOptions, compile } from "./compile.js";
import { COMPILED_FILES, type Form, KvFormat, Recipe } from "./compiled.js";
import { engineDigest } from "./digest.js";
import { type Agreement, agreement } from "./score.js";
import type { FreeBytes } from "./space.js";
import { scratchDirectory } from "./staging.js";

/** What was chosen, and why. */
export const Choice = z.object({
  format: z.literal(1),
  recipe: Recipe,
  kv: KvFormat,
  /** One line for people. */
  reason: z.string(),
});
export type Choice = z.infer<typeof Choice>;

const INT8: Form = { recipe: "int8", kv: "fp32" };
const FP32: Form = { recipe: "fp32", kv: "fp32" };

/** The least gain in speed that is worth a loss in quality. */
const LEAST_GAIN = 1.1;
/** The most loss, nats a token, and the least share of equal likeliest tokens. */
const GATE = { nll: 0.01, top1: 0.94 };
/** Weights of a model whose steps are mostly overhead. */
const SMALL = 2 ** 24;
/** For each weight: q8, int8 with its q8 embedding, fp32. */
const BYTES_WHILE_MEASURING = 7;
/** Places at which the graphs are compared, if the text has as many. */
const PLACES = 4000;
const ROWS = 8;
const CONTEXT = 64;
const STEPS = 15;

/** The choice for these weights on this machine, if it was made. */
export async function chosen(parent: string, weightsDigest: string): Promise<Choice | undefined> {
  const text = await readFile(choicePlace(parent, weightsDigest), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return Choice.parse(JSON.parse(text));
  } catch {
    // Half a file, or of another version: it is made anew.
    return undefined;
  }
}

export interface ChoiceSpace {
  /** Where compiled models lie. */
  readonly parent: string;
  /** Of the model, in all. */
  readonly weights: number;
  readonly freeBytes: FreeBytes;
}

export interface ChooseOptions extends CompileOptions {
  /** Lines for people. */
  readonly onNote?: ((line: string) => void) | undefined;
}

/** Compiles the forms, measures them, and keeps the choice beside the compiled models. */
export async function choose(
  space: ChoiceSpace,
  input: Omit<CompileInput, "form">,
  options: ChooseOptions = {},
): Promise<Choice> {
  const { parent } = space;
  const hindrance = await whyNotMeasured(space);
  if (hindrance) return keep(parent, input.weightsDigest, BASE, hindrance);
  const q8 = await compile(parent, { ...input, form: BASE }, options);
  const int8 = await compile(parent, { ...input, form: INT8 }, options);
  options.onNote?.("measuring which form is faster here, and as good");
  const threads = options.threads || availableParallelism();
  const gain = await speedGain(int8, q8, threads, options.signal);
  const worth = gain >= LEAST_GAIN;
  const found = worth && (await int8Agreement(parent, int8, input, threads, options));
  const { form, reason } = verdict(gain, found || undefined);
  return keep(parent, input.weightsDigest, form, reason);
}

/**
 * The form for a model whose int8 decodes `gain` times as fast as its q8, and why.
 * @param found how near int8 is to fp32; undefined where that was not to be found out
 */
export function verdict(
  gain: number,
  found: Agreement | undefined,
): { readonly form: Form; readonly reason: string } {
  const faster = `int8 decodes ${gain.toFixed(2)} times as fast as q8 at ${ROWS} rows`;
  if (gain < LEAST_GAIN) {
    return { form: BASE, reason: `${faster}; ${LEAST_GAIN} is wanted of it` };
  }
  if (!found) {
    const why = "its tokenizer leaves no text to hold it against fp32";
    return { form: BASE, reason: `${faster}, but ${why}` };
  }
  const { nll, top1, places } = found;
  const same = `${(top1 * 100).toFixed(1)} % same likeliest tokens as fp32`;
  const loss = `${nll >= 0 ? "+" : ""}${nll.toFixed(4)} nats a token, ${same} at ${places} places`;
  // Neither holds for what is no number.
  const good = nll <= GATE.nll && top1 >= GATE.top1;
  if (good) return { form: INT8, reason: `${faster}, with ${loss}` };
  return { form: BASE, reason: `${faster}, but loses too much: ${loss}` };
}

/** Why nothing is measured, if so: then q8 it is. */
async function whyNotMeasured({ parent, weights, freeBytes }: ChoiceSpace) {
  if (weights < SMALL) return "a model this small is as fast in any form";
  if (weights * 4 > totalmem() / 2) return "too large to be held against its fp32 graph here";
  if (weights * BYTES_WHILE_MEASURING > (await freeBytes(parent))) {
    return "there was no room on the disk to hold it against its fp32 graph";
  }
  return undefined;
}

/** How much faster `a` decodes than `b`: ratio of the median steps, taken in turns. */
async function speedGain(
  a: string,
  b: string,
  threads: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const options = { slots: ROWS, slotTokens: CONTEXT + STEPS + 1, threads };
  const models: OnnxModel[] = [];
  try {
    for (const dir of [a, b]) models.push(await OnnxModel.open(dir, options));
    const times = models.map((): number[] => []);
    for (let step = 0; step <= STEPS; step++) {
      signal?.throwIfAborted();
      for (const [i, model] of models.entries()) {
        const begun = performance.now();
        await model.decode(rowsAt(CONTEXT + step));
        // The first touches the memory for the first time.
        if (step > 0) times[i]?.push(performance.now() - begun);
      }
    }
    return median(times[1] ?? []) / median(times[0] ?? []);
  } finally {
    for (const model of models) await model.close();
  }
}

function rowsAt(position: number) {
  return Array.from({ length: ROWS }, (_, slot) => ({
    slot,
    position,
    token: slot,
    wantLogits: true,
  }));
}

/**
 * How far int8 is from the fp32 graph, which is made for this and removed; undefined when
 * there is no text to find out with.
 */
async function int8Agreement(
  parent: string,
  int8: string,
  input: Omit<CompileInput, "form">,
  threads: number,
  options: CompileOptions,
): Promise<Agreement | undefined> {
  const windows = compared((await textWindows(int8, input.shape)).unread);
  if (windows.length === 0) return undefined;
  const scratch = await scratchDirectory(parent);
  try {
    const fp32 = await compile(scratch, { ...input, form: FP32 }, options);
    const graph = (dir: string) => join(dir, COMPILED_FILES.graph);
    return await agreement(graph(int8), graph(fp32), input.shape, windows, threads, options.signal);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The last of the windows, so many that they have PLACES; all, when there are not as many. */
export function compared(unread: readonly number[][]): readonly number[][] {
  // A window's last token has none that follows it.
  const places = (unread[0]?.length ?? 0) - 1;
  return places < 1 ? [] : unread.slice(-Math.ceil(PLACES / places));
}

async function keep(
  parent: string,
  weightsDigest: string,
  form: Form,
  reason: string,
): Promise<Choice> {
  const choice: Choice = { format: 1, ...form, reason };
  const place = choicePlace(parent, weightsDigest);
  await mkdir(dirname(place), { recursive: true });
  const draft = `${place}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify(choice, null, 2)}\n`);
  await rename(draft, place);
  return choice;
}

/**
 * Where the choice for these weights on this machine lies: what decides the digest of a
 * form decides the choice too.
 */
export function choicePlace(parent: string, weightsDigest: string): string {
  return join(parent, ".choices", `${engineDigest(weightsDigest, INT8)}.json`);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

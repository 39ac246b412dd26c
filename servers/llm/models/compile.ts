/**
 * Compiles a model: graph, weights, tokenizer and configuration into a directory
 * named by the engine digest, once.
 */
import { open, rm, stat, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { BASE, calibrate } from "./calibrate.js";
import { COMPILED_FILES, CompiledModel, type Form, readCompiled } from "./compiled.js";
import type { DecoderShape } from "./decoder-shape.js";
import { engineDigest } from "./digest.js";
import { buildGraph } from "./graph.js";
import { withCalibration } from "./smooth.js";
import { stageDirectory } from "./staging.js";
import { type WeightSource, writeWeights } from "./weights.js";

/** What a model is, beside its weights. */
export interface ModelText {
  readonly bosId: number | null;
  readonly addBos: boolean;
  readonly eosIds: readonly number[];
  readonly chatTemplate: string | null;
  /** Hugging Face `tokenizer.json`. */
  readonly tokenizer: object;
}

export interface CompileInput {
  readonly name: string;
  readonly arch: string;
  readonly license: string;
  readonly shape: DecoderShape;
  readonly text: ModelText;
  /** sha256 of what the weights are made from. */
  readonly weightsDigest: string;
  readonly form: Form;
  readonly source: WeightSource;
}

export interface CompileOptions {
  /** Bytes of weights written, and in all. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
  /** Of the runs that calibrate; 0, and left out: all cores. */
  readonly threads?: number;
}

/**
 * The directory of the compiled model below `parent`; built if it is not there. A form
 * that needs calibration compiles the plain one first, and leaves it there.
 * @throws ContixError ENOSPC; whatever the weight source throws.
 */
export async function compile(
  parent: string,
  input: CompileInput,
  options: CompileOptions = {},
): Promise<string> {
  const digest = engineDigest(input.weightsDigest, input.form);
  const target = join(parent, digest);
  if (await isWhole(target)) return target;
  await removeBroken(target);
  const source = await calibrated(parent, input, options);
  await stageDirectory(target, (staging) => fill(staging, digest, { ...input, source }, options));
  return target;
}

/** The weights as the form wants them. */
async function calibrated(
  parent: string,
  input: CompileInput,
  options: CompileOptions,
): Promise<WeightSource> {
  const { shape, form, source } = input;
  if (form.recipe !== "int8" && form.kv !== "int8") return source;
  const base = await compile(parent, { ...input, form: BASE }, options);
  const threads = options.threads || availableParallelism();
  const calibration = await calibrate(base, shape, threads, options.signal);
  return withCalibration(source, shape, form, calibration);
}

async function fill(
  dir: string,
  digest: string,
  input: CompileInput,
  options: CompileOptions,
): Promise<void> {
  const graph = buildGraph(input.shape, input.form);
  const weights = await open(join(dir, COMPILED_FILES.weights), "wx");
  try {
    await writeWeights(weights, graph, input.source, (done, total) => {
      options.signal?.throwIfAborted();
      options.onProgress?.(done, total);
    });
  } finally {
    await weights.close();
  }
  await writeFile(join(dir, COMPILED_FILES.graph), graph.model);
  await writeFile(join(dir, COMPILED_FILES.tokenizer), JSON.stringify(input.text.tokenizer));
  const config = JSON.stringify(configOf(digest, input), null, 2);
  await writeFile(join(dir, COMPILED_FILES.config), `${config}\n`);
}

function configOf(engine: string, input: CompileInput): CompiledModel {
  // The schema drops what the configuration does not hold, and checks the rest.
  return CompiledModel.parse({
    ...input.shape,
    ...input.text,
    format: 1,
    name: input.name,
    arch: input.arch,
    engineDigest: engine,
    weightsDigest: input.weightsDigest,
    ...input.form,
    license: input.license,
  });
}

/**
 * Removes a directory that lost a file. One that is not there is left alone: it may
 * appear at any moment, whole, by another process.
 */
async function removeBroken(target: string): Promise<void> {
  const there = await stat(target).catch(() => undefined);
  if (there && !(await isWhole(target))) await rm(target, { recursive: true, force: true });
}

async function isWhole(dir: string): Promise<boolean> {
  return readCompiled(dir).then(
    () => true,
    () => false,
  );
}

/**
 * Compiles a model: graph, weights, tokenizer and configuration into a directory
 * named by the engine digest, once.
 */
import { open, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { COMPILED_FILES, CompiledModel, type Recipe } from "./compiled.js";
import { engineDigest } from "./digest.js";
import { buildLlamaGraph, type LlamaShape } from "./graph.js";
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
  readonly shape: LlamaShape;
  readonly text: ModelText;
  /** sha256 of what the weights are made from. */
  readonly weightsDigest: string;
  readonly recipe: Recipe;
  readonly source: WeightSource;
}

export interface CompileOptions {
  /** Bytes of weights written, and in all. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * The directory of the compiled model below `parent`; built if it is not there.
 * @throws ContixError ENOSPC; whatever the weight source throws.
 */
export async function compile(
  parent: string,
  input: CompileInput,
  options: CompileOptions = {},
): Promise<string> {
  const digest = engineDigest(input.weightsDigest, input.recipe);
  const target = join(parent, digest);
  if (!(await isThere(target))) {
    await stageDirectory(target, (staging) => fill(staging, digest, input, options));
  }
  return target;
}

async function fill(
  dir: string,
  digest: string,
  input: CompileInput,
  options: CompileOptions,
): Promise<void> {
  const graph = buildLlamaGraph(input.shape, input.recipe);
  const weights = await open(join(dir, COMPILED_FILES.weights), "wx");
  try {
    await writeWeights(weights, input.shape, graph, input.source, (done, total) => {
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
    recipe: input.recipe,
    kv: "fp32",
    license: input.license,
  });
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

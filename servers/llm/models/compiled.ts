/**
 * A compiled model: a directory named by its engine digest, with
 * `model.onnx`, `weights.bin` (its external data), `tokenizer.json` (Hugging
 * Face format) and `config.json` (this schema). It never changes once it is
 * there: it is built under another name and renamed.
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { ContixError } from "../../../proto/errno.js";

/** How linear layers are stored and computed; ENGINE.md has the measurements. */
export const Recipe = z.enum(["int8", "q8", "fp32"]);
export type Recipe = z.infer<typeof Recipe>;

/** How keys and values are stored; ENGINE.md, "KV". */
export const KvFormat = z.enum(["fp32", "int8"]);
export type KvFormat = z.infer<typeof KvFormat>;

/** What of a compiled model was chosen, not given. */
export interface Form {
  readonly recipe: Recipe;
  readonly kv: KvFormat;
}

const count = z.number().int().positive();
const tokenId = z.number().int().nonnegative();
const digest = z.string().regex(/^[0-9a-f]{64}$/);

/** What `config.json` of a compiled model holds. */
export const CompiledModel = z.object({
  format: z.literal(1),
  name: z.string().min(1),
  arch: z.string().min(1),
  engineDigest: digest,
  weightsDigest: digest,
  recipe: Recipe,
  kv: KvFormat,
  layers: count,
  hidden: count,
  heads: count,
  kvHeads: count,
  headDim: count,
  ffn: count,
  vocab: count,
  /** The most positions the model was made for. */
  window: count,
  ropeTheta: z.number().positive(),
  normEps: z.number().positive(),
  bosId: tokenId.nullable(),
  /** Whether a context starts with `bosId`. */
  addBos: z.boolean(),
  /** Every token that ends a generation. */
  eosIds: z.array(tokenId),
  /** Jinja source, or null for a model that is no chat model. */
  chatTemplate: z.string().nullable(),
  license: z.string(),
});
export type CompiledModel = z.infer<typeof CompiledModel>;

/**
 * What the configuration holds whatever runs the graph: a graph of our own (this file's
 * schema), one that came from elsewhere (onnx-export/compiled-export.ts), or an embedding
 * model (embed/compiled-embedder.ts), which generates nothing.
 */
export const AnyCompiled = CompiledModel.pick({
  format: true,
  name: true,
  arch: true,
  engineDigest: true,
  weightsDigest: true,
  vocab: true,
  window: true,
  bosId: true,
  addBos: true,
  eosIds: true,
  chatTemplate: true,
  license: true,
}).extend({ adapter: z.enum(["graph", "onnx-export", "embedder"]).default("graph") });
export type AnyCompiled = z.infer<typeof AnyCompiled>;

/** The files of a compiled model's directory. */
export const COMPILED_FILES = {
  config: "config.json",
  graph: "model.onnx",
  weights: "weights.bin",
  tokenizer: "tokenizer.json",
} as const;

/**
 * The configuration of the compiled model in `dir`.
 * @throws ContixError EMODEL when the directory is not a whole compiled model.
 */
export async function readCompiled(dir: string): Promise<CompiledModel> {
  return readAs(dir, CompiledModel, Object.values(COMPILED_FILES));
}

/**
 * What any adapter's compiled model in `dir` says of itself.
 * @throws ContixError EMODEL when it has no valid configuration, or no tokenizer.
 */
export async function readAnyCompiled(dir: string): Promise<AnyCompiled> {
  return readAs(dir, AnyCompiled, [COMPILED_FILES.tokenizer]);
}

/**
 * The configuration in `dir` by its schema, when `files` are there too.
 * @throws ContixError EMODEL
 */
export async function readAs<T>(
  dir: string,
  schema: z.ZodType<T>,
  files: readonly string[],
): Promise<T> {
  const parsed = schema.safeParse(await readConfig(dir));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue ? `${issue.path.join(".") || "top"}: ${issue.message}` : "";
    throw new ContixError("EMODEL", `${join(dir, COMPILED_FILES.config)} is not valid: ${where}`);
  }
  for (const file of files) {
    await stat(join(dir, file)).catch((cause) => {
      throw new ContixError("EMODEL", `${dir} is not a whole compiled model: no ${file}`, {
        cause,
      });
    });
  }
  return parsed.data;
}

async function readConfig(dir: string): Promise<unknown> {
  const path = join(dir, COMPILED_FILES.config);
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? "is not JSON" : "can not be read";
    throw new ContixError("EMODEL", `${dir} is no compiled model: ${path} ${reason}`, { cause });
  }
}

/**
 * A compiled embedding model: a directory named by its engine digest, with its graph and
 * weights, `tokenizer.json`, and `config.json` (this schema).
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { AnyCompiled, COMPILED_FILES, readAs } from "../models/compiled.js";
import { kernelClass, runtimeVersion } from "../models/digest.js";
import { BERT_GRAPH_VERSION } from "./bert-graph.js";
import { Pooling } from "./inspect-embedder.js";

const count = z.number().int().positive();

/** `window` is the most tokens of a text, the model's own at both ends included. */
export const CompiledEmbedder = AnyCompiled.extend({
  adapter: z.literal("embedder"),
  dimensions: count,
  pooling: Pooling,
  /** Names of the graph's inputs beside input_ids, and of its output. */
  inputs: z.array(z.enum(["attention_mask", "token_type_ids"])),
  output: z.string(),
  graph: z.string(),
  /** The graph, and the files of its weights. */
  files: z.array(z.string().min(1)).min(1),
});
export type CompiledEmbedder = z.infer<typeof CompiledEmbedder>;

/**
 * The configuration of the compiled embedding model in `dir`.
 * @throws ContixError EMODEL when the directory is no whole one
 */
export async function readCompiledEmbedder(dir: string): Promise<CompiledEmbedder> {
  const config = await readAs(dir, CompiledEmbedder, [COMPILED_FILES.tokenizer]);
  return readAs(dir, CompiledEmbedder, config.files);
}

/** The name of the vectors that these weights give on this machine: sha256, hex. */
export function embedderDigest(weightsDigest: string): string {
  const parts = {
    adapter: `embedder ${BERT_GRAPH_VERSION}`,
    kernelClass: kernelClass(),
    runtimeVersion: runtimeVersion(),
    weightsDigest,
  };
  const lines = Object.entries(parts).map(([name, value]) => `${name}=${value}\n`);
  return createHash("sha256").update(lines.join("")).digest("hex");
}

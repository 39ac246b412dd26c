/**
 * A compiled export: a directory named by its engine digest, with the graph and the files
 * of its weights under their own names, `tokenizer.json`, and `config.json` (this schema).
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { AnyCompiled, COMPILED_FILES, readAs } from "../models/compiled.js";
import { kernelClass, runtimeVersion } from "../models/digest.js";
import { Layout } from "./layout.js";

/** Part of the engine digest: raise it with every change of how graphs are fed. */
const ADAPTER_VERSION = 1;

export const CompiledExport = AnyCompiled.extend({
  adapter: z.literal("onnx-export"),
  /** The graph, and the files of its weights. */
  files: z.array(z.string().min(1)).min(1),
  layout: Layout,
  /** Given tokens enter in blocks of so many (export-model.ts); 1: one by one. */
  block: z.number().int().positive().max(1_024),
});
export type CompiledExport = z.infer<typeof CompiledExport>;

/**
 * The configuration of the compiled export in `dir`.
 * @throws ContixError EMODEL when the directory is no whole compiled export
 */
export async function readCompiledExport(dir: string): Promise<CompiledExport> {
  const config = await readAs(dir, CompiledExport, [COMPILED_FILES.tokenizer]);
  return readAs(dir, CompiledExport, config.files);
}

/**
 * The engine digest of an export on this machine: sha256, hex. The size of its blocks is
 * decided by what is in here, so it is not.
 */
export function exportDigest(weightsDigest: string): string {
  const parts = {
    adapter: `onnx-export ${ADAPTER_VERSION}`,
    attention: "plain",
    kernelClass: kernelClass(),
    runtimeVersion: runtimeVersion(),
    weightsDigest,
  };
  const lines = Object.entries(parts).map(([name, value]) => `${name}=${value}\n`);
  return createHash("sha256").update(lines.join("")).digest("hex");
}

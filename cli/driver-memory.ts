/**
 * The memory that a driver takes for a compiled model: what of its weights is read,
 * the KV of every slot at its full length, and what any driver has. It is what the
 * driver may come to need; the system gives it out as slots fill.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../kernel/config.js";
import { ContixError } from "../proto/errno.js";

/** Node, the runtime, the buffers of a step. */
const PROCESS_BYTES = 192 << 20;
const KV_BYTES: Readonly<Record<string, number>> = { fp32: 4, fp16: 2, int8: 1 };

/** Bytes for the compiled model in `dir`. EMODEL when there is none. */
export async function driverBytes(
  dir: string,
  { slots, slotTokens }: Pick<Config, "slots" | "slotTokens">,
): Promise<number> {
  const { files, valuesPerToken, kv, window } = await anatomy(dir);
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(dir, file))).size));
  const kvBytes = slots * Math.min(slotTokens, window) * valuesPerToken * (KV_BYTES[kv] ?? 4);
  return sizes.reduce((sum, size) => sum + size, PROCESS_BYTES + kvBytes);
}

interface Anatomy {
  readonly files: readonly string[];
  /** Of keys and values, all layers. */
  readonly valuesPerToken: number;
  readonly kv: string;
  readonly window: number;
}

async function anatomy(dir: string): Promise<Anatomy> {
  const compiled = await import("../servers/llm/models/compiled.js");
  const { adapter, name, window } = await compiled.readAnyCompiled(dir);
  if (adapter === "embedder") {
    const message = `${name} is an embedding model: it generates no text`;
    throw new ContixError("EMODEL", message, { argument: "model" });
  }
  if (adapter === "onnx-export") {
    const { readCompiledExport } = await import("../servers/llm/onnx-export/compiled-export.js");
    const { files, layout } = await readCompiledExport(dir);
    const perLayer = layout.layers.map(({ kvHeads, headDim }) => 2 * kvHeads * headDim);
    const valuesPerToken = perLayer.reduce((sum, values) => sum + values, 0);
    return { files, valuesPerToken, kv: layout.kv, window };
  }
  const { layers, kvHeads, headDim, kv } = await compiled.readCompiled(dir);
  const { graph, weights } = compiled.COMPILED_FILES;
  return { files: [graph, weights], valuesPerToken: 2 * layers * kvHeads * headDim, kv, window };
}

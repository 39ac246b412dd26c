/**
 * The memory that a driver takes for a compiled model: what of its weights is read,
 * the KV of every slot at its full length, pages outside the slots, and what any driver has. It is what the
 * driver may come to need; the system gives it out as slots fill.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../kernel/config.js";
import type { DriverSpec } from "../kernel/engines/library.js";
import { machineMemory } from "../kernel/machine.js";
import { memoryBytes } from "../kernel/units.js";
import { ContixError } from "../proto/errno.js";

/** Node, the runtime, the buffers of a step. */
const PROCESS_BYTES = 192 << 20;
const KV_BYTES: Readonly<Record<string, number>> = { fp32: 4, fp16: 2, int8: 1 };

/** What a driver takes, bytes; and how much of that for pages. */
export type DriverMemory = Pick<DriverSpec, "memory" | "pageMemory">;

type Sizes = Pick<Config, "slots" | "slotTokens" | "pageMemory" | "memoryBudget">;

/**
 * What the compiled model in `dir` takes. Pages get what is configured, but never so
 * much that the driver alone would be over the budget. EMODEL when there is none.
 */
export async function driverMemory(dir: string, sizes: Sizes): Promise<DriverMemory> {
  const { files, valuesPerToken, kv, window, pages } = await anatomy(dir);
  const lengths = await Promise.all(files.map(async (file) => (await stat(join(dir, file))).size));
  const slotTokens = sizes.slots * Math.min(sizes.slotTokens, window);
  const kvBytes = slotTokens * valuesPerToken * (KV_BYTES[kv] ?? 4);
  const least = lengths.reduce((sum, size) => sum + size, PROCESS_BYTES + kvBytes);
  const machine = machineMemory();
  const left = Math.max(0, memoryBytes(sizes.memoryBudget, machine) - least);
  const pageMemory = pages ? Math.min(left, memoryBytes(sizes.pageMemory, machine)) : 0;
  return { memory: least + pageMemory, pageMemory };
}

interface Anatomy {
  readonly files: readonly string[];
  /** Of keys and values, all layers. */
  readonly valuesPerToken: number;
  readonly kv: string;
  readonly window: number;
  /** Its driver has pages. */
  readonly pages: boolean;
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
    return { files, valuesPerToken, kv: layout.kv, window, pages: false };
  }
  const { layers, kvHeads, headDim, kv } = await compiled.readCompiled(dir);
  const { graph, weights } = compiled.COMPILED_FILES;
  const valuesPerToken = 2 * layers * kvHeads * headDim;
  return { files: [graph, weights], valuesPerToken, kv, window, pages: true };
}

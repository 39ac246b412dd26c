/** How many bytes one decode step of one row has to read: every weight once, and its context. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type GraphProto, ModelProto } from "../../proto/gen/onnx/onnx.js";
import { COMPILED_FILES, readCompiled } from "../../servers/llm/models/compiled.js";

/** Operators that read single rows of a weight, by input. */
const LOOKED_UP: Readonly<Record<string, readonly number[]>> = {
  Gather: [0],
  GatherBlockQuantized: [0, 2, 3],
  // The rotary tables.
  GroupQueryAttention: [7, 8],
};

/** Bytes of the weights that a step of the compiled model in `dir` reads from end to end. */
export async function weightBytes(dir: string): Promise<number> {
  const { graph } = ModelProto.decode(await readFile(join(dir, COMPILED_FILES.graph)));
  return graph === undefined ? 0 : streamedBytes(graph);
}

/** Bytes of external data that nodes read whole; bytes under two names count once. */
export function streamedBytes(graph: GraphProto): number {
  const read = new Set<string>();
  for (const { opType, input } of graph.node) {
    const single = LOOKED_UP[opType] ?? [];
    for (const [i, name] of input.entries()) if (!single.includes(i)) read.add(name);
  }
  const regions = new Map<string, number>();
  for (const { name, externalData } of graph.initializer) {
    const of = (key: string): string =>
      externalData.find((entry) => entry.key === key)?.value ?? "0";
    if (read.has(name)) regions.set(`${of("location")} ${of("offset")}`, Number(of("length")));
  }
  return [...regions.values()].reduce((sum, length) => sum + length, 0);
}

/** Bytes of keys and values of one token of the compiled model in `dir`. */
export async function kvBytesPerToken(dir: string): Promise<number> {
  const { layers, kvHeads, headDim, kv } = await readCompiled(dir);
  const bytes: Readonly<Record<string, number>> = { fp32: 4, int8: 1 };
  return layers * 2 * kvHeads * headDim * (bytes[kv] ?? 4);
}

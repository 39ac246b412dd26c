/**
 * Writes the external data file of a graph: walks the plan, takes rows from the
 * source model a few at a time, and puts them where the graph expects them. So
 * memory stays small whatever the size of the model.
 */
import type { FileHandle } from "node:fs/promises";
import type { DecoderGraph } from "./graph.js";
import type { MatrixPart, WeightPlan } from "./graph-weights.js";
import { Q8_BLOCK } from "./graph-weights.js";
import { Int8Columns, type Q8Rows } from "./quantize.js";
import { rotaryTable } from "./rotary.js";

/** Where weights come from, by their GGUF names; rows in the Hugging Face order. */
export interface WeightSource {
  /** A whole vector, or rows [first, first + count) of a matrix, as floats. */
  rows(tensor: string, first: number, count: number): Promise<Float32Array>;
  /** The same rows in q8; exact where the stored type allows it. */
  q8(tensor: string, first: number, count: number): Promise<Q8Rows>;
  /** Divisors of the rotary frequencies, one for each pair, where the model has them. */
  rotaryFactors?(): Promise<Float32Array | undefined>;
  /** Calibrated scales of a layer's keys or values [kvHeads, headDim], for KV in int8. */
  kvScale?(layer: number, part: "k" | "v"): Float32Array;
}

const CHUNK_VALUES = 1 << 20;

/** Writes all of `graph`'s weights; `onProgress` gets bytes written and bytes in all. */
export async function writeWeights(
  file: FileHandle,
  graph: DecoderGraph,
  source: WeightSource,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<void> {
  let done = 0;
  const write: Write = async (values, offset) => {
    await writeAt(file, values, offset);
    done += values.byteLength;
    onProgress(done, graph.weightBytes);
  };
  for (const plan of graph.plan) await writePlan(write, plan, source);
  // Padding between tensors is never written.
  await file.truncate(graph.weightBytes);
  onProgress(graph.weightBytes, graph.weightBytes);
}

type Write = (values: Float32Array | Uint8Array | Int8Array, offset: number) => Promise<void>;

async function writePlan(write: Write, plan: WeightPlan, source: WeightSource): Promise<void> {
  switch (plan.kind) {
    case "rotary": {
      const factors = await source.rotaryFactors?.();
      return write(rotaryTable(plan.rope, plan.part, factors), plan.region.offset);
    }
    case "vector":
      return write(await source.rows(plan.source, 0, 1), plan.region.offset);
    case "fp32":
      return eachChunk(plan.parts, plan.cols, async (tensor, first, count, row) => {
        const rows = await source.rows(tensor, first, count);
        await write(rows, plan.region.offset + row * plan.cols * 4);
      });
    case "q8":
      return eachChunk(plan.parts, plan.cols, async (tensor, first, count, row) => {
        const rows = await source.q8(tensor, first, count);
        const block = (row * plan.cols) / Q8_BLOCK;
        await write(rows.bytes, plan.region.offset + row * plan.cols);
        await write(rows.scales, plan.scales.offset + block * 4);
        await write(rows.zeros, plan.zeros.offset + block);
      });
    case "int8":
      return writeInt8(write, plan, source);
    case "kv_scale": {
      const scale = source.kvScale?.(plan.layer, plan.part);
      if (!scale) throw new TypeError("KV in int8 needs a calibration");
      return write(scale, plan.region.offset);
    }
  }
}

/** The whole matrix is held, a byte a value: a transpose has no rows to write one by one. */
async function writeInt8(
  write: Write,
  plan: WeightPlan & { readonly kind: "int8" },
  source: WeightSource,
): Promise<void> {
  const outputs = plan.parts.reduce((sum, part) => sum + part.rows, 0);
  const columns = new Int8Columns(plan.cols, outputs);
  await eachChunk(plan.parts, plan.cols, async (tensor, first, count, row) => {
    columns.put(row, await source.rows(tensor, first, count));
  });
  await write(columns.bytes, plan.region.offset);
  await write(columns.scales, plan.scales.offset);
}

/** Calls `work` for runs of rows, about a million values each; `row` counts over all parts. */
async function eachChunk(
  parts: readonly MatrixPart[],
  cols: number,
  work: (tensor: string, first: number, count: number, row: number) => Promise<void>,
): Promise<void> {
  const most = Math.max(1, Math.floor(CHUNK_VALUES / cols));
  let before = 0;
  for (const part of parts) {
    for (let first = 0; first < part.rows; first += most) {
      const count = Math.min(most, part.rows - first);
      await work(part.source, first, count, before + first);
    }
    before += part.rows;
  }
}

async function writeAt(
  file: FileHandle,
  values: Float32Array | Uint8Array | Int8Array,
  offset: number,
): Promise<void> {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}

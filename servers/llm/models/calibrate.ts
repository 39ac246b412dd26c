/**
 * Calibration: the model reads a text, and how far its values go from zero is noted.
 * The text, the first chapters of Jane Austen's "Pride and Prejudice" (1813), comes with
 * the code. Its beginning is read here; its end, which no calibration reads, where the
 * forms of a model are compared (choose.ts). Benchmarks have other texts.
 */
import { link, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { openTextServer } from "../text/server.js";
import { COMPILED_FILES, type Form } from "./compiled.js";
import type { DecoderShape } from "./decoder-shape.js";
import { buildGraph, PROBE } from "./graph.js";
import { scratchDirectory } from "./staging.js";
import { WindowSession } from "./window-session.js";

/** How far from zero values went, for each feature. */
export interface Calibration {
  /** Of the output of the norm with these weights [hidden]. */
  norm(gamma: string): Float32Array;
  /** Of a layer's keys, rotated, or values [kvHeads * headDim]. */
  kv(layer: number, part: "k" | "v"): Float32Array;
}

/** What is calibrated on: its answers are nearly those of fp32, and it is small. */
export const BASE: Form = { recipe: "q8", kv: "fp32" };

const WINDOWS = 4;
const WINDOW = 512;

/** The calibration text in windows of as many tokens as the model can take, up to 512. */
export interface TextWindows {
  /** Those that are calibrated on, from the beginning. */
  readonly read: readonly number[][];
  /** The others. How many there are is the tokenizer's doing; there may be none. */
  readonly unread: readonly number[][];
}

/** The calibration text as the compiled model in `dir` reads it. */
export async function textWindows(dir: string, shape: DecoderShape): Promise<TextWindows> {
  const path = fileURLToPath(new URL("calibration.txt", import.meta.url));
  const text = await readFile(path, "utf8");
  const server = await openTextServer(dir);
  try {
    const tokens = await server.encode(text, { special: false, start: true });
    const length = Math.min(WINDOW, shape.window);
    const count = Math.floor(tokens.length / length);
    const all = Array.from({ length: count }, (_, i) => tokens.slice(i * length, (i + 1) * length));
    return { read: all.slice(0, WINDOWS), unread: all.slice(WINDOWS) };
  } finally {
    await server.close();
  }
}

/** Calibrates with the compiled model in `dir`, of the form BASE. */
export async function calibrate(
  dir: string,
  shape: DecoderShape,
  threads: number,
  signal?: AbortSignal,
): Promise<Calibration> {
  const { read: windows } = await textWindows(dir, shape);
  const length = windows[0]?.length ?? 0;
  const probed = await scratchDirectory(dirname(dir));
  try {
    // External data must lie beside the graph.
    await link(join(dir, COMPILED_FILES.weights), join(probed, COMPILED_FILES.weights));
    const path = join(probed, COMPILED_FILES.graph);
    await writeFile(path, buildGraph(shape, BASE, { probes: true }).model);
    const probes = gammas(shape).map((gamma) => PROBE + gamma);
    const options = { shape, length, logits: "last", probes, threads } as const;
    const session = await WindowSession.open(path, options);
    try {
      return await readAll(session, shape, windows, signal);
    } finally {
      session.close();
    }
  } finally {
    await rm(probed, { recursive: true, force: true });
  }
}

async function readAll(
  session: WindowSession,
  shape: DecoderShape,
  windows: readonly number[][],
  signal: AbortSignal | undefined,
): Promise<Calibration> {
  const { hidden, kvHeads, headDim } = shape;
  const norms = new Map<string, Float32Array>();
  const kv = new Map<string, Float32Array>();
  for (const window of windows) {
    signal?.throwIfAborted();
    await session.read(window);
    for (const [name, values] of session.probes) note(norms, name, values, hidden);
    for (const [name, values] of session.kv) {
      const stride = values.length / kvHeads;
      for (let head = 0; head < kvHeads; head++) {
        note(kv, `${name} ${head}`, values.subarray(head * stride, (head + 1) * stride), headDim);
      }
    }
  }
  const kvOf = (layer: number, part: "k" | "v") => {
    const heads = Array.from({ length: kvHeads }, (_, head) => `${part}.${layer} ${head}`);
    return Float32Array.from(heads.flatMap((name) => [...(kv.get(name) ?? [])]));
  };
  return { norm: (gamma) => norms.get(PROBE + gamma) ?? new Float32Array(hidden), kv: kvOf };
}

/** Raises the maxima under `name` to those of rows of `features` values. */
function note(
  maxima: Map<string, Float32Array>,
  name: string,
  rows: Float32Array,
  features: number,
): void {
  const most = maxima.get(name) ?? new Float32Array(features);
  maxima.set(name, most);
  for (let row = 0; row < rows.length; row += features) {
    for (let j = 0; j < features; j++) {
      const size = Math.abs(rows[row + j] ?? 0);
      if (size > (most[j] ?? 0)) most[j] = size;
    }
  }
}

/** The norms whose outputs are read by matrices only. */
function gammas({ layers }: DecoderShape): string[] {
  const norms = ["attn_norm", "ffn_norm"];
  return Array.from({ length: layers }, (_, i) =>
    norms.map((norm) => `blk.${i}.${norm}.weight`),
  ).flat();
}

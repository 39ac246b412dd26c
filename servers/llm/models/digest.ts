/**
 * The engine digest: the name of everything that decides which bytes come out
 * (law 2). Contexts and their pages never cross digests.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, cpus } from "node:os";
import { z } from "zod";
import type { Form, KvFormat, Recipe } from "./compiled.js";
import { GRAPH_VERSION } from "./graph.js";

export interface DigestParts {
  readonly weightsDigest: string;
  readonly recipe: Recipe;
  readonly kv: KvFormat;
  /** ONNX Runtime's attention kernel: the tiled one lets a chunk's size change bits, so never it. */
  readonly attention: "plain";
  readonly graphVersion: number;
  readonly runtimeVersion: string;
  readonly kernelClass: string;
}

/** sha256, hex, over the parts under their names. */
export function digestOf(parts: DigestParts): string {
  const lines = Object.entries(parts)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}\n`);
  return createHash("sha256").update(lines.join("")).digest("hex");
}

/** The engine digest of these weights on this machine. */
export function engineDigest(weightsDigest: string, { recipe, kv }: Form): string {
  return digestOf({
    weightsDigest,
    recipe,
    kv,
    attention: "plain",
    graphVersion: GRAPH_VERSION,
    runtimeVersion: runtimeVersion(),
    kernelClass: kernelClass(),
  });
}

/** The version of the installed ONNX Runtime. */
export function runtimeVersion(): string {
  const require = createRequire(import.meta.url);
  const manifest = require("onnxruntime-node/package.json") as unknown;
  return z.object({ version: z.string() }).parse(manifest).version;
}

/** The instruction sets by which ONNX Runtime's MLAS chooses its kernels, x86 and Arm. */
const SELECTING_FLAGS = new Set(
  (
    "sse4_1 avx avx2 fma f16c avx_vnni avx512f avx512bw avx512dq avx512vl avx512cd " +
    "avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_int8 amx_bf16 avx_ne_convert " +
    "asimd asimdhp asimddp i8mm bf16 sve sve2 svei8mm sme sme2"
  ).split(" "),
);

/**
 * What of this CPU decides which kernels run: the architecture and the flags of
 * the first processor in /proc/cpuinfo, or its model name where there is none.
 */
export function kernelClass(cpuinfo: string | undefined = readCpuinfo()): string {
  const line = cpuinfo?.match(/^(?:flags|Features)\s*:\s*(.*)$/m)?.[1];
  if (line === undefined) return `${arch()} ${cpus()[0]?.model ?? "unknown"}`;
  const flags = line.split(/\s+/).filter((flag) => SELECTING_FLAGS.has(flag));
  return [arch(), ...flags.sort()].join(" ");
}

function readCpuinfo(): string | undefined {
  try {
    return readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    return undefined;
  }
}

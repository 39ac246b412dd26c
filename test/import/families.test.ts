/**
 * Every family and feature against llama.cpp: a tiny random GGUF, imported by us and read
 * by node-llama-cpp, must give the same logits after a prompt and through 32 greedy tokens.
 *
 * Tolerances are parts of the root mean square of the peer's logits. Both sides compute in
 * fp32 from the same fp32 weights and differ in the order of sums only, which is seen at
 * 1e-6 (root mean square) and 3e-5 (worst of 36,000). Two things are coarser in llama.cpp:
 *
 * - GELU is a table over fp16 (ggml_vec_gelu_f32), so each gate carries an error of 2^-11;
 *   seen at 5e-4 and 5e-3. The graph's own GELU is held to 1e-4 of the plain formula in
 *   graph-families.test.ts.
 * - With fp16 weights, what they multiply is rounded to fp16 as well; seen at 4e-4 and 2e-3.
 *
 * q8 quantizes activations, so it is only close: that nothing is swapped or left out shows.
 */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../servers/llm/models/compile.js";
import { readGgufHeader } from "../../servers/llm/models/gguf/header.js";
import { decoderShape } from "../../servers/llm/models/gguf/model.js";
import { openGgufWeights } from "../../servers/llm/models/gguf/source.js";
import { type FamilySpec, familyFile } from "../../servers/llm/models/testing/family-gguf.js";
import { FAMILY_SPECS } from "../../servers/llm/models/testing/family-specs.js";
import { ggufBytes } from "../../servers/llm/models/testing/gguf-writer.js";
import { TestSession } from "../../servers/llm/models/testing/session.js";
import { tinyInput, uniform } from "../../servers/llm/models/tiny.js";
import { missingPeer, Peer, type PeerAnswer } from "./families-peer.js";

const PROMPT = 40;
const GREEDY = 32;

/** Root mean square, and worst, as parts of the logits' root mean square. */
interface Tolerance {
  readonly mean: number;
  readonly worst: number;
}

const SUMS: Tolerance = { mean: 1e-5, worst: 2e-4 };
const HALVES: Tolerance = { mean: 2e-3, worst: 1.5e-2 };
const QUANTIZED: Tolerance = { mean: 0.08, worst: 0.6 };

const missing = missingPeer();
if (missing) {
  if (process.env.CI) throw new Error(missing);
  console.warn(`skipped: ${missing}`);
}

/** One of each family, which is imported as q8 too. */
const QUANTIZED_TOO = new Set(["llama", "qwen2", "qwen3", "gemma2", "gemma3"]);

const SPECS: readonly (readonly [string, FamilySpec])[] = [
  ...Object.entries(FAMILY_SPECS),
  ["llama, fp16 weights", { ...(FAMILY_SPECS.llama ?? fail()), type: "F16" }],
];

describe.skipIf(missing !== undefined)("llama.cpp agrees", () => {
  let dir: string;
  let peer: Peer;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "contix-import-"));
    peer = new Peer();
  });
  afterAll(async () => {
    peer[Symbol.dispose]();
    await rm(dir, { recursive: true, force: true });
  });

  it.each(SPECS)("%s", async (name, spec) => {
    const seed = process.env.SEED ?? "1";
    const prompt = randomPrompt(`${name} ${seed}`);
    const gguf = join(dir, "model.gguf");
    await writeFile(gguf, ggufBytes(await familyFile(spec)));
    const answer = await peer.ask(gguf, prompt, GREEDY);
    const coarse = spec.shape.activation === "gelu" || spec.type === "F16";
    const tolerance = coarse ? HALVES : SUMS;

    const fp32 = await open(dir, gguf, "fp32");
    const logits = await allLogits(fp32, [...prompt, ...answer.tokens.slice(0, -1)]);
    const noise = expectClose(logits, answer, tolerance, `seed ${seed}`);
    expectSameChoices(logits, answer, noise, `seed ${seed}`);
    if (QUANTIZED_TOO.has(name)) {
      const q8 = await open(dir, gguf, "q8");
      const close = await allLogits(q8, [...prompt, ...answer.tokens.slice(0, -1)]);
      expectClose(close, answer, QUANTIZED, `q8, seed ${seed}`);
    }
  });
});

function randomPrompt(name: string): number[] {
  const draw = uniform(name);
  return Array.from({ length: PROMPT }, () => Math.floor(draw() * 512));
}

/** The file as we import it. */
async function open(dir: string, gguf: string, recipe: "fp32" | "q8"): Promise<TestSession> {
  const header = await readGgufHeader(gguf);
  const shape = decoderShape(header);
  await using source = await openGgufWeights(header, shape);
  const weightsDigest = createHash("sha256")
    .update(await readFile(gguf))
    .digest("hex");
  const input = { ...tinyInput({ recipe }), shape, source, weightsDigest };
  return TestSession.open(await compile(dir, input));
}

/** The prompt by prefill, what follows token by token; logits of every position. */
async function allLogits(session: TestSession, tokens: readonly number[]) {
  session.reset(PROMPT + GREEDY);
  const prompt = tokens.slice(0, PROMPT);
  const out = await session.enter(prompt, [...prompt.keys()]);
  for (const token of tokens.slice(PROMPT)) out.push(...(await session.enter([token])));
  return out;
}

/** Returns the greatest difference. */
function expectClose(
  found: readonly Float32Array[],
  { logits }: PeerAnswer,
  tolerance: Tolerance,
  what: string,
): number {
  expect(found.length).toBe(logits.length);
  const size = rootMeanSquare(logits.flatMap((row) => [...row]));
  const differences = found.flatMap((row, t) => [...row].map((v, i) => v - (logits[t]?.[i] ?? 99)));
  expect(rootMeanSquare(differences) / size, what).toBeLessThan(tolerance.mean);
  const worst = differences.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(worst / size, what).toBeLessThan(tolerance.worst);
  return worst;
}

/** Both choose the same token, but where the noise is enough to swap the peer's two best. */
function expectSameChoices(
  found: readonly Float32Array[],
  { logits }: PeerAnswer,
  noise: number,
  what: string,
): void {
  let compared = 0;
  for (const [t, row] of logits.entries()) {
    const [first = 0, second = 0] = [...row].sort((a, b) => b - a);
    if (first - second < 2 * noise) continue;
    compared++;
    const mine = found[t] ?? new Float32Array();
    expect(mine.indexOf(Math.max(...mine)), `${what}, position ${t}`).toBe(row.indexOf(first));
  }
  expect(compared, what).toBeGreaterThan(0.8 * logits.length);
}

function rootMeanSquare(values: readonly number[]): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

function fail(): never {
  throw new Error("there is no such spec");
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ModelProto } from "../../../proto/gen/onnx/onnx.js";
import { compile } from "./compile.js";
import { buildGraph } from "./graph.js";
import { referenceLogits } from "./testing/reference.js";
import { TestSession } from "./testing/session.js";
import { TINY_SHAPE, tinyInput, tinyModel } from "./tiny.js";

const TOKENS = [72, 101, 108, 108, 111, 300, 301, 44, 511, 7, 200, 3, 3, 3, 90];
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "contix-graph-"));
});
afterAll(() => rm(dir, { recursive: true }));

/** The greatest difference of two sets of logits. */
function distance(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  expect(a.length).toBe(b.length);
  return Math.max(
    ...a.flatMap((row, t) => [...row].map((v, i) => Math.abs(v - (b[t]?.[i] ?? 99)))),
  );
}

function rootMeanSquare(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  const squares = a.flatMap((row, t) => [...row].map((v, i) => (v - (b[t]?.[i] ?? 99)) ** 2));
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
}

async function allLogits(session: TestSession, chunks: readonly number[]) {
  session.reset(64);
  const out: Float32Array[] = [];
  let start = 0;
  for (const length of chunks) {
    const part = TOKENS.slice(start, start + length);
    out.push(...(await session.enter(part, [...part.keys()])));
    start += length;
  }
  expect(start).toBe(TOKENS.length);
  return out;
}

describe("the llama graph", () => {
  it("agrees in fp32 with the plain forward pass, by prefill, in chunks, and by decode", async () => {
    const input = tinyInput({ recipe: "fp32" });
    const reference = await referenceLogits(TINY_SHAPE, input.source, TOKENS);
    const session = await TestSession.open(await compile(dir, input));
    for (const chunks of [[15], [7, 8], [9, 1, 1, 2, 2], Array(15).fill(1)]) {
      expect(distance(await allLogits(session, chunks), reference)).toBeLessThan(2e-3);
    }
  });

  it("agrees in fp32 with an untied head", async () => {
    const tied = tinyInput({ recipe: "fp32" });
    const shape = { ...TINY_SHAPE, tied: false };
    const rows = (tensor: string, first: number, count: number) =>
      tensor === "output.weight"
        ? tied.source.rows("token_embd.weight", 511 - first - count + 1, count)
        : tied.source.rows(tensor, first, count);
    const input = {
      ...tied,
      shape,
      source: { ...tied.source, rows },
      weightsDigest: "0".repeat(64),
    };
    const reference = await referenceLogits(shape, input.source, TOKENS);
    const session = await TestSession.open(await compile(dir, input));
    expect(distance(await allLogits(session, [15]), reference)).toBeLessThan(2e-3);
  });

  it("stays close to the plain forward pass in q8", async () => {
    const input = tinyInput({ recipe: "q8" });
    const reference = await referenceLogits(TINY_SHAPE, input.source, TOKENS);
    const session = await TestSession.open(await compile(dir, input));
    const error = rootMeanSquare(await allLogits(session, [15]), reference);
    const zero = reference.map((row) => row.map(() => 0));
    expect(error / rootMeanSquare(reference, zero)).toBeLessThan(0.08);
  });

  it("gives only the logits that were asked for, or none", async () => {
    const session = await TestSession.open(await tinyModel(dir));
    const [all] = [await allLogits(session, [15])];
    session.reset(64);
    const some = await session.enter(TOKENS, [3, 14]);
    expect(some[0]).toEqual(all[3]);
    expect(some[1]).toEqual(all[14]);
    session.reset(64);
    expect(await session.enter(TOKENS, [])).toEqual([]);
  });

  it("keeps the embedding once: the head of a tied model shares its bytes", () => {
    const { model } = buildGraph(TINY_SHAPE, { recipe: "q8", kv: "fp32" });
    const weights = ModelProto.decode(model).graph?.initializer ?? [];
    const offset = (name: string) =>
      weights.find((w) => w.name === name)?.externalData.find((e) => e.key === "offset")?.value;
    expect(offset("embed.rows")).toBe(offset("embed.q"));
    expect(weights.some((w) => w.name.startsWith("head."))).toBe(false);
  });
});

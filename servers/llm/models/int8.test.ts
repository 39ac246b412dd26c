import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ModelProto } from "../../../proto/gen/onnx/onnx.js";
import { type CompileInput, compile } from "./compile.js";
import { buildGraph } from "./graph.js";
import { INT8_MOST, Int8Columns } from "./quantize.js";
import { withCalibration } from "./smooth.js";
import { referenceLogits } from "./testing/reference.js";
import { TestSession } from "./testing/session.js";
import { TINY_SHAPE, tinyInput } from "./tiny.js";

const TOKENS = [72, 101, 108, 108, 111, 300, 301, 44, 511, 7, 200, 3, 3, 3, 90];
const INT8 = { recipe: "int8", kv: "fp32" } as const;
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "contix-int8-"));
});
afterAll(() => rm(dir, { recursive: true }));

function rootMeanSquare(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  const squares = a.flatMap((row, t) => [...row].map((v, i) => (v - (b[t]?.[i] ?? 99)) ** 2));
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
}

/** How far the logits of `input`, compiled, are from those of plain formulas, of their spread. */
async function error(input: CompileInput): Promise<number> {
  const session = await TestSession.open(await compile(dir, input));
  session.reset(64);
  const reference = await referenceLogits(input.shape, input.source, TOKENS);
  const zero = reference.map((row) => row.map(() => 0));
  const logits = await session.enter(TOKENS, [...TOKENS.keys()]);
  return rootMeanSquare(logits, reference) / rootMeanSquare(reference, zero);
}

/** The tiny model, with some features of its norms far greater than the others. */
function uneven(): CompileInput {
  const input = tinyInput(INT8);
  const rows: typeof input.source.rows = async (tensor, first, count) => {
    const values = await input.source.rows(tensor, first, count);
    const columns = /attn_[qkv]|ffn_(gate|up)/.test(tensor);
    if (!columns && !/(attn|ffn)_norm/.test(tensor)) return values;
    return values.map((value, i) => (i % 16 === 5 ? (columns ? value / 40 : value * 40) : value));
  };
  const weightsDigest = createHash("sha256").update("uneven").digest("hex");
  return { ...input, weightsDigest, source: { ...input.source, rows } };
}

describe("the int8 graph", () => {
  it("stays close to the plain forward pass, with KV in floats and in bytes", async () => {
    expect(await error(tinyInput(INT8))).toBeLessThan(0.06);
    expect(await error(tinyInput({ recipe: "int8", kv: "int8" }))).toBeLessThan(0.08);
  });

  it("stays close where features are uneven: smoothing", async () => {
    expect(await error(uneven())).toBeLessThan(0.06);
  });

  it("quantizes an input once for all matrices that read it, and takes two passes for outliers", () => {
    const { model } = buildGraph(TINY_SHAPE, INT8);
    const nodes = ModelProto.decode(model).graph?.node.map(({ opType }) => opType) ?? [];
    const count = (type: string) => nodes.filter((opType) => opType === type).length;
    const { layers } = TINY_SHAPE;
    // qkv, o, gate, up, down; and the head.
    expect(count("MatMulIntegerToFloat")).toBe(5 * layers + 1);
    // Inputs of qkv, of o, of gate and up; of down and of the head twice.
    expect(count("QuantizeLinear")).toBe(5 * layers + 2);
    expect(count("MatMulNBits")).toBe(0);
  });

  it("adds nothing to the weights by its probes", () => {
    const plain = buildGraph(TINY_SHAPE, { recipe: "q8", kv: "fp32" });
    const probed = buildGraph(TINY_SHAPE, { recipe: "q8", kv: "fp32" }, { probes: true });
    expect(probed.plan).toEqual(plain.plan);
    expect(probed.weightBytes).toBe(plain.weightBytes);
  });
});

it("is compiled to the same bytes every time", async () => {
  const digests = await Promise.all(
    ["a", "b"].map(async (name) => {
      const compiled = await compile(join(dir, name), tinyInput({ recipe: "int8", kv: "int8" }));
      return createHash("sha256")
        .update(await readFile(join(compiled, "weights.bin")))
        .digest("hex");
    }),
  );
  expect(digests[0]).toBe(digests[1]);
});

it("smooths to the very same model: factors are powers of two", async () => {
  const { source, shape } = tinyInput(INT8);
  const calibration = {
    norm: () => Float32Array.from({ length: shape.hidden }, (_, j) => 1 + j),
    kv: () => new Float32Array(shape.kvHeads * shape.headDim).fill(INT8_MOST),
  };
  const smooth = await withCalibration(source, shape, INT8, calibration);
  const norm = "blk.1.ffn_norm.weight";
  const gate = "blk.1.ffn_gate.weight";
  const [gamma, smoothGamma] = [await source.rows(norm, 0, 1), await smooth.rows(norm, 0, 1)];
  const [rows, smoothRows] = [await source.rows(gate, 3, 2), await smooth.rows(gate, 3, 2)];
  const product = (g: Float32Array, w: Float32Array) => w.map((v, i) => v * (g[i % g.length] ?? 0));
  expect(product(smoothGamma, smoothRows)).toEqual(product(gamma, rows));
  expect(smoothGamma).not.toEqual(gamma);
  expect(await smooth.rows("blk.1.attn_output.weight", 0, 2)).toEqual(
    await source.rows("blk.1.attn_output.weight", 0, 2),
  );
  expect([...new Set(smooth.kvScale?.(0, "k"))]).toEqual([1]);
});

it("is never off by more than half a step in int8, and transposes", () => {
  const value = fc.double({ min: -100, max: 100, noNaN: true });
  fc.assert(
    fc.property(fc.array(value, { minLength: 12, maxLength: 12 }), (values) => {
      const columns = new Int8Columns(4, 5);
      columns.put(2, Float32Array.from(values));
      for (const [i, original] of values.entries()) {
        const output = 2 + Math.floor(i / 4);
        const scale = columns.scales[output] ?? 0;
        const back = (columns.bytes[(i % 4) * 5 + output] ?? 0) * scale;
        expect(Math.abs(back - original)).toBeLessThanOrEqual(scale * 0.501 + 1e-5);
      }
    }),
  );
});

import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ModelProto } from "../../../proto/gen/onnx/onnx.js";
import { compile } from "./compile.js";
import { buildGraph } from "./graph.js";
import { familyWeights } from "./testing/family-gguf.js";
import { FAMILY_SPECS } from "./testing/family-specs.js";
import { referenceLogits } from "./testing/reference.js";
import { TestSession } from "./testing/session.js";
import { TINY_SHAPE, tinyInput } from "./tiny.js";

/** More than any local window. */
const TOKENS = Array.from({ length: 20 }, (_, i) => (i * 37 + 11) % 512);

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "contix-graph-families-"));
});
afterAll(() => rm(dir, { recursive: true }));

/** Logits of TOKENS, entered in chunks. */
async function logits(session: TestSession, chunks: readonly number[]): Promise<Float32Array[]> {
  session.reset(64);
  const out: Float32Array[] = [];
  for (const length of chunks) {
    const part = TOKENS.slice(out.length, out.length + length);
    out.push(...(await session.enter(part, [...part.keys()])));
  }
  return out;
}

/** The greatest difference, as a part of the logits' root mean square. */
function error(found: readonly Float32Array[], wanted: readonly Float32Array[]): number {
  const values = wanted.flatMap((row) => [...row]);
  const differences = found.flatMap((row, t) => [...row].map((v, i) => v - (wanted[t]?.[i] ?? 99)));
  const size = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
  return Math.max(...differences.map(Math.abs)) / size;
}

/** Deep models are told by their depth; here two layers of them are enough. */
const SPECS = Object.entries(FAMILY_SPECS).map(([name, spec]) => {
  const layers = spec.shape.layers > 8 ? 2 : spec.shape.layers;
  return [name, { ...spec, shape: { ...spec.shape, layers } }] as const;
});

describe.each(SPECS)("%s", (name, spec) => {
  it("agrees in fp32 with the plain forward pass, by prefill, in chunks, and by decode", async () => {
    const source = familyWeights(spec);
    const weightsDigest = createHash("sha256").update(name).digest("hex");
    const input = { ...tinyInput({ recipe: "fp32" }), shape: spec.shape, source, weightsDigest };
    const session = await TestSession.open(await compile(dir, input));
    const wanted = await referenceLogits(spec.shape, source, TOKENS);
    for (const chunks of [[20], [13, 1, 6], Array(20).fill(1)]) {
      expect(error(await logits(session, chunks), wanted)).toBeLessThan(1e-4);
    }
  });
});

it("costs llama no node", () => {
  const { model } = buildGraph(TINY_SHAPE, { recipe: "q8", kv: "fp32" });
  const nodes = ModelProto.decode(model).graph?.node.map(({ opType }) => opType) ?? [];
  const count = (type: string) => nodes.filter((opType) => opType === type).length;
  expect(nodes).toHaveLength(7 + 12 * TINY_SHAPE.layers);
  expect(count("Add") + count("Split") + count("Tanh") + count("Identity")).toBe(0);
});

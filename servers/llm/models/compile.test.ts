import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { compile } from "./compile.js";
import { GGML_TYPES, unpackToQ8 } from "./gguf/types.js";
import { buildGraph, GRAPH_VERSION } from "./graph.js";
import { pack, TYPE, type TypeName } from "./testing/pack.js";
import { TINY_SHAPE, tinyInput } from "./tiny.js";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "contix-compile-"));
});
afterAll(() => rm(dir, { recursive: true }));

/** What a graph version means, in bytes: the rotary tables left out, which are Math's. */
const BYTES: Readonly<Record<number, Readonly<Record<"q8" | "fp32" | "types", string>>>> = {
  2: {
    q8: "eed0c0c24999384cdceaa151f849f3042b4ba8997fcc6203cca2bd1bf5a406df",
    fp32: "f8dd50a41dd89b8dff83604aa10e61234938a543f1404b01b55b1df95341d549",
    types: "887d6fa14d0657d246609ff384fd3a094fdd6bdb8e023fc3de03d82422bca78b",
  },
};

it("makes the bytes of its graph version; for other bytes raise GRAPH_VERSION", async () => {
  for (const recipe of ["q8", "fp32"] as const) {
    const compiled = await compile(dir, tinyInput({ recipe }));
    const { plan } = buildGraph(TINY_SHAPE, { recipe, kv: "fp32" });
    const rotary = plan.flatMap(({ kind, region }) => (kind === "rotary" ? [region] : []));
    const end = Math.max(...rotary.map(({ offset, length }) => offset + length));
    const weights = await readFile(join(compiled, "weights.bin"));
    const hash = createHash("sha256")
      .update(await readFile(join(compiled, "model.onnx")))
      .update(weights.subarray(end));
    expect(hash.digest("hex")).toBe(BYTES[GRAPH_VERSION]?.[recipe]);
  }
});

it("makes the bytes of its graph version from every tensor type", async () => {
  const rows = await tinyInput().source.rows("blk.0.attn_q.weight", 0, 8);
  const hash = createHash("sha256");
  for (const [name, id] of Object.entries(TYPE)) {
    const type = GGML_TYPES.get(id);
    if (!type) throw new Error(name);
    const q8 = unpackToQ8(type, pack(name as TypeName, rows));
    hash.update(q8.bytes).update(new Uint8Array(q8.scales.buffer)).update(q8.zeros);
  }
  expect(hash.digest("hex")).toBe(BYTES[GRAPH_VERSION]?.types);
});

it("reports progress up to the whole, and stops when it is told to", async () => {
  const seen: number[] = [];
  let total = 0;
  const onProgress = (done: number, of: number) => {
    seen.push(done);
    total = of;
  };
  await compile(dir, tinyInput({ seed: 7 }), { onProgress });
  expect(seen.at(-1)).toBe(total);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  const signal = AbortSignal.abort();
  await expect(compile(dir, tinyInput({ seed: 8 }), { signal })).rejects.toMatchObject({
    name: "AbortError",
  });
});

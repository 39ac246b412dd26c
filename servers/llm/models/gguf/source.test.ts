import { mkdtemp, open, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Q8Rows } from "../quantize.js";
import { type GgufFile, ggufBytes } from "../testing/gguf-writer.js";
import { pack, TYPE, type TypeName } from "../testing/pack.js";
import { readGgufHeader } from "./header.js";
import { GgufWeights } from "./source.js";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "contix-source-"));
});
afterAll(() => rm(dir, { recursive: true }));

const NAME = "blk.0.ffn_up.weight";
const LAST = "blk.0.ffn_down.weight";
const ROWS = 24;
const COLS = 256;

/** Two matrices, whose rows are whole blocks of every type. */
function file(type: TypeName): GgufFile {
  const values = Float32Array.from({ length: ROWS * COLS }, (_, i) => Math.sin(i * 1.7));
  const data = pack(type, values);
  const tensors = [NAME, LAST].map((name) => ({
    name,
    type: TYPE[type],
    shape: [COLS, ROWS],
    data,
  }));
  return { metadata: {}, tensors };
}

async function source(of: GgufFile): Promise<{ path: string; weights: GgufWeights }> {
  const path = join(dir, "x.gguf");
  await writeFile(path, ggufBytes(of));
  const header = await readGgufHeader(path);
  return { path, weights: new GgufWeights(header, undefined, await open(path)) };
}

/** `of` with the bytes of one tensor changed. */
function changed(of: GgufFile, name: string, change: (data: DataView) => void): GgufFile {
  const tensors = of.tensors.map((tensor) => {
    if (tensor.name !== name) return tensor;
    const data = Uint8Array.from(tensor.data);
    change(new DataView(data.buffer));
    return { ...tensor, data };
  });
  return { ...of, tensors };
}

function concat(parts: readonly Q8Rows[]): Q8Rows {
  return {
    bytes: Uint8Array.from(parts.flatMap(({ bytes }) => [...bytes])),
    scales: Float32Array.from(parts.flatMap(({ scales }) => [...scales])),
    zeros: Uint8Array.from(parts.flatMap(({ zeros }) => [...zeros])),
  };
}

describe("the weights of a GGUF file", () => {
  it.each(Object.keys(TYPE) as TypeName[])(
    "of type %s are the same in parts and whole",
    async (type) => {
      const { weights } = await source(file(type));
      await using _ = weights;
      const cuts = [0, 1, 10, ROWS];
      const parts = cuts.slice(1).map((to, i) => [cuts[i] ?? 0, to - (cuts[i] ?? 0)] as const);
      const whole = await weights.rows(NAME, 0, ROWS);
      const rows = await Promise.all(
        parts.map(([first, count]) => weights.rows(NAME, first, count)),
      );
      expect(Float32Array.from(rows.flatMap((part) => [...part]))).toEqual(whole);
      const q8 = await Promise.all(parts.map(([first, count]) => weights.q8(NAME, first, count)));
      expect(concat(q8)).toEqual(await weights.q8(NAME, 0, ROWS));
    },
  );

  it("are refused by name when one is no finite number", async () => {
    const message = /holds a value in tensor "blk.0.ffn_up.weight" that is no finite number/;
    const infinite = 0x7c00;
    const cases: [TypeName, (data: DataView) => void][] = [
      ["F32", (data) => data.setFloat32(40, Number.NaN, true)],
      ["F16", (data) => data.setUint16(40, infinite, true)],
      ["BF16", (data) => data.setUint16(40, 0xff80, true)],
      ["Q8_0", (data) => data.setUint16(34, infinite, true)],
      ["Q4_1", (data) => data.setUint16(2, 0x7e00, true)],
      ["Q6_K", (data) => data.setUint16(208, infinite, true)],
    ];
    for (const [type, change] of cases) {
      const { weights } = await source(changed(file(type), NAME, change));
      await using _ = weights;
      const error = { code: "EMODEL", message: expect.stringMatching(message) };
      await expect(weights.rows(NAME, 0, 2)).rejects.toMatchObject(error);
      await expect(weights.q8(NAME, 0, 2)).rejects.toMatchObject(error);
    }
  });

  it("are refused by name when the file has lost its end", async () => {
    const { path, weights } = await source(file("Q4_0"));
    await using _ = weights;
    await truncate(path, 5_000);
    await expect(weights.rows(LAST, 0, ROWS)).rejects.toMatchObject({
      code: "EMODEL",
      message: expect.stringMatching(/ends at byte \d+, within tensor "blk.0.ffn_down.weight"/),
    });
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import koffi from "koffi";
import { afterAll, beforeAll, expect, test } from "vitest";
import { COMPILED_FILES } from "../models/compiled.js";
import { tinyModel } from "../models/tiny.js";
import { aligned, Session, Tensor } from "./ort.js";

let home: string;
let graph: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "contix-ort-"));
  graph = join(await tinyModel(home), COMPILED_FILES.graph);
});

afterAll(() => rm(home, { recursive: true, force: true }));

const NONE = { inputs: [], outputs: [], threads: 1 };

test("buffers lie where vectors load well, the small ones too", () => {
  for (const length of [1, 3, 8, 1000]) {
    const data = aligned(Float32Array, length);
    expect(koffi.address(data) % 64n).toBe(0n);
    expect(data.length).toBe(length);
    expect(data.every((value) => value === 0)).toBe(true);
  }
});

test("the runtime's own words come as a typed error", async () => {
  await expect(Session.open(join(home, "none.onnx"), NONE)).rejects.toMatchObject({
    name: "ContixError",
    code: "EIO",
    message: expect.stringMatching(/createSession: .*none\.onnx/),
  });
  const broken = join(home, "broken.onnx");
  await writeFile(broken, "no model");
  await expect(Session.open(broken, NONE)).rejects.toThrow(/Protobuf parsing failed/);
});

test("a run that the graph does not allow is an error, and the session lives on", async () => {
  const session = await Session.open(graph, {
    inputs: ["input_ids"],
    outputs: ["logits"],
    threads: 1,
  });
  const input = new Tensor(aligned(BigInt64Array, 4), [1, 4]);
  const output = new Tensor(aligned(Float32Array, 512), [1, 512]);
  for (let i = 0; i < 3; i++) {
    await expect(session.run([input], [output])).rejects.toThrow(/run: .*[Mm]issing [Ii]nput/);
  }
  await expect(session.run([], [output])).rejects.toThrow(/0 tensors for 1 names/);
  for (const object of [input, output, session]) object.close();
  await expect(session.run([input], [output])).rejects.toThrow(/used after/);
});

test("a tensor is not larger than its buffer", () => {
  expect(() => new Tensor(aligned(Float32Array, 5), [2, 3])).toThrow(/2×3 over 5 elements/);
});

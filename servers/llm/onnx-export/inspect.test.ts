import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ContixError } from "../../../proto/errno.js";
import { DataType, GraphBuilder } from "../models/graph-nodes.js";
import { SMALL_SHAPE } from "../models/testing/llama-gguf.js";
import { compileExport } from "./compile-export.js";
import { readGraphFile } from "./graph-file.js";
import { type TinyExportOptions, tinyExport } from "./testing/tiny-export.js";

let home: string;
let dir: string;
let made = 0;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "contix-exports-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));
beforeEach(() => {
  dir = join(home, `export-${made++}`);
});

const compile = (options: { graph?: string; weightsDigest?: string } = {}) =>
  compileExport(dir, join(home, "compiled"), { name: "tiny-export", ...options });

const { layers, kvHeads, headDim, vocab } = SMALL_SHAPE;

/** A graph with the inputs and outputs of a decoder, where `change` has changed one. */
async function shapes(
  change: (name: string, type: DataType, dims: (number | string)[]) => unknown,
) {
  await tinyExport(dir);
  const g = new GraphBuilder("shapes", "model.onnx_data");
  const give =
    (kind: "input" | "output") => (name: string, type: DataType, dims: (number | string)[]) => {
      const changed = change(name, type, dims);
      if (changed === null) return;
      const [to = name, toType = type, toDims = dims] = (changed ?? []) as Parameters<
        typeof change
      >;
      g[kind](to, toType, toDims);
    };
  give("input")("input_ids", DataType.INT64, ["B", "S"]);
  give("input")("attention_mask", DataType.INT64, ["B", "T"]);
  give("output")("logits", DataType.FLOAT, ["B", "S", vocab]);
  for (let i = 0; i < layers; i++) {
    for (const part of ["key", "value"]) {
      give("input")(`past_key_values.${i}.${part}`, DataType.FLOAT, ["B", kvHeads, "P", headDim]);
      give("output")(`present.${i}.${part}`, DataType.FLOAT, ["B", kvHeads, "T", headDim]);
    }
  }
  g.node("Identity", ["input_ids"], ["unused"]);
  await writeFile(join(dir, "onnx", "model.onnx"), g.encode("1"));
}

describe("refuses, with nothing left behind,", () => {
  async function refusal(options: { graph?: string } = {}): Promise<string> {
    const before = await readdir(join(home, "compiled")).catch(() => []);
    const error: unknown = await compile(options).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "ContixError", code: "EMODEL" });
    expect(await readdir(join(home, "compiled")).catch(() => [])).toEqual(before);
    return error instanceof Error ? error.message : "";
  }

  test.each<[string, TinyExportOptions, RegExp]>([
    ["weights of another directory", { location: "../model.onnx_data" }, /no path within/],
    ["weights by their full path", { location: "/etc/passwd" }, /no path within/],
    [
      "weights that climb and come back",
      { location: "x/../../onnx/../../secret" },
      /no path within/,
    ],
    ["weights that are not there", { location: "other" }, /has no file other/],
    ["weights that are a directory", { location: "." }, /no path within/],
    ["weights of no name", { location: "" }, /no path within/],
    ["a window of three tokens", { window: 3 }, /window of 3 tokens is too small/],
    ["a window of nothing", { window: 0 }, /max_position_embeddings/],
    ["a window beyond all bounds", { window: 1e12 }, /max_position_embeddings/],
  ])("%s", async (_, options, message) => {
    await tinyExport(dir, options);
    expect(await refusal()).toMatch(message);
  });

  test.each<[string, () => Promise<unknown>, RegExp]>([
    ["no graph", () => rm(join(dir, "onnx"), { recursive: true }), /has no \.onnx file/],
    ["no configuration", () => rm(join(dir, "config.json")), /no config\.json/],
    ["no tokenizer", () => rm(join(dir, "tokenizer.json")), /no tokenizer\.json/],
    [
      "a tokenizer that is none",
      () => writeFile(join(dir, "tokenizer.json"), "{}"),
      /tokenizer\.json: model/,
    ],
    [
      "a configuration that is no JSON",
      () => writeFile(join(dir, "config.json"), "{"),
      /is not JSON/,
    ],
    [
      "a template that is none",
      () => writeFile(join(dir, "chat_template.jinja"), "{% if %}"),
      /chat template/,
    ],
    [
      "a graph that is text",
      () => writeFile(join(dir, "onnx/model.onnx"), "hello"),
      /no ONNX model/,
    ],
    ["an empty graph", () => writeFile(join(dir, "onnx/model.onnx"), ""), /no ONNX model/],
    [
      "weights cut short",
      () => writeFile(join(dir, "onnx/model.onnx_data"), "short"),
      /can not be run/,
    ],
    ["a missing variant", () => Promise.resolve(), /has no file onnx\/model_q9\.onnx/],
  ])("%s", async (name, change, message) => {
    await tinyExport(dir);
    await change();
    expect(
      await refusal(name === "a missing variant" ? { graph: "onnx/model_q9.onnx" } : {}),
    ).toMatch(message);
  });

  test("a link that leads out", async () => {
    await tinyExport(dir);
    const secret = join(home, "secret");
    await writeFile(secret, await readFile(join(dir, "onnx", "model.onnx_data")));
    await rm(join(dir, "onnx", "model.onnx_data"));
    await symlink(secret, join(dir, "onnx", "model.onnx_data"));
    expect(await refusal()).toMatch(/no path within/);
  });

  test("weights under a name that is ours", async () => {
    await tinyExport(dir, { location: "config.json", file: "model.onnx" });
    expect(await refusal()).toMatch(/keeps weights in config\.json/);
  });

  const only = (wanted: string, to: unknown[] | null) => (name: string) =>
    name === wanted ? to : undefined;
  const past = "past_key_values.1.value";
  test.each<[string, Parameters<typeof shapes>[0], RegExp]>([
    ["no ids", only("input_ids", null), /no input "input_ids"/],
    ["no logits", only("logits", null), /no output "logits"/],
    ["no past", (name) => (name.startsWith("past") ? null : undefined), /with a cache/],
    [
      "no present",
      (name) => (name.startsWith("present") ? null : undefined),
      /no output "present\.0\.key"/,
    ],
    ["a missing value", only(past, null), /no input "past_key_values\.1\.value"/],
    ["a missing present", only("present.1.key", null), /no output "present\.1\.key"/],
    [
      "an input of another kind of model",
      only("attention_mask", ["pixel_values"]),
      /input "pixel_values" is none/,
    ],
    [
      "an input named like a method",
      only("attention_mask", ["constructor"]),
      /input "constructor" is none/,
    ],
    [
      "ids of 32 bits",
      only("input_ids", ["input_ids", DataType.INT32]),
      /is int32; it must be int64/,
    ],
    [
      "a past of bytes",
      only(past, [past, DataType.INT8]),
      /is int8; it must be float32 or float16/,
    ],
    [
      "a past of several types",
      only(past, [past, DataType.FLOAT16]),
      /must be float16|several types/,
    ],
    [
      "a past of a fixed length",
      only(past, [past, DataType.FLOAT, ["B", kvHeads, 2048, headDim]]),
      /fixed length, 2048/,
    ],
    [
      "a past of three dimensions",
      only(past, [past, DataType.FLOAT, ["B", "P", headDim]]),
      /has the shape \[\?, \?, 32\]/,
    ],
    [
      "a past of another width",
      only(past, [past, DataType.FLOAT, ["B", kvHeads, "P", 8]]),
      /differ in shape/,
    ],
    ["heads without end", only("none", null), /can not be run/],
    [
      "a fixed batch",
      only("input_ids", ["input_ids", DataType.INT64, [4, "S"]]),
      /has the shape \[4, \?\]/,
    ],
    [
      "logits of the last token only",
      only("logits", ["logits", DataType.FLOAT, ["B", vocab]]),
      /not \[1, tokens, vocab\]/,
    ],
    [
      "a vocabulary without end",
      only("logits", ["logits", DataType.FLOAT, ["B", "S", 1e9]]),
      /vocab/,
    ],
  ])("%s", async (_, change, message) => {
    await shapes(change as Parameters<typeof shapes>[0]);
    expect(await refusal()).toMatch(message);
  });

  test("an operator that draws numbers", async () => {
    await tinyExport(dir);
    const g = new GraphBuilder("random", "model.onnx_data");
    g.node("RandomNormal", [], ["x"], { shape: { ints: [1] } });
    await writeFile(join(dir, "onnx", "model.onnx"), g.encode("1"));
    expect(await refusal()).toMatch(/RandomNormal gives other results each time/);
  });
});

test("any damage to a graph is a typed error, or a graph all the same", async () => {
  await tinyExport(dir);
  const path = join(dir, "onnx", "model.onnx");
  const sound = await readFile(path);
  const flip = fc.tuple(fc.nat(sound.length - 1), fc.integer({ min: 1, max: 255 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(flip, { minLength: 1, maxLength: 4 }),
      fc.nat(40),
      async (flips, cut) => {
        const bytes = Buffer.from(sound);
        for (const [at, mask] of flips) bytes[at] = (bytes[at] ?? 0) ^ mask;
        await writeFile(path, bytes.subarray(0, bytes.length - cut));
        try {
          readGraphFile(path);
        } catch (error) {
          expect(error).toBeInstanceOf(ContixError);
        }
      },
    ),
    { numRuns: 150 },
  );
});

import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { readAnyCompiled } from "../models/compiled.js";
import { openTextServer } from "../text/server.js";
import { compileExport } from "./compile-export.js";
import { readCompiledExport } from "./compiled-export.js";
import { inspectExport } from "./inspect.js";
import { tinyExport } from "./testing/tiny-export.js";

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

const json = async (name: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(join(dir, name), "utf8"));
const setJson = async (name: string, fields: object): Promise<void> =>
  writeFile(join(dir, name), JSON.stringify({ ...(await json(name)), ...fields }));

describe("a sound export", () => {
  test("becomes a directory that says what it is, and is made once", async () => {
    await tinyExport(dir);
    const compiled = await compile();
    const config = await readAnyCompiled(compiled);
    expect(config).toMatchObject({
      adapter: "onnx-export",
      name: "tiny-export",
      arch: "llama",
      license: "cc0-1.0",
      window: 256,
      vocab: 512,
      bosId: 257,
      addBos: false,
      eosIds: [256, 258],
    });
    expect(config.chatTemplate).toContain("im_start");
    expect(basename(compiled)).toBe(config.engineDigest);
    expect(await compile()).toBe(compiled);
    const text = await openTextServer(compiled);
    expect(await text.encode("the cat", { special: false, start: true })).not.toEqual([]);
    await text.close();
  });

  test("has another digest with any other file, and with another graph of the same", async () => {
    await tinyExport(dir);
    await tinyExport(dir, { grouped: true, file: "onnx/model_q4.onnx" });
    const digests = [await compile(), await compile({ graph: "onnx/model_q4.onnx" })];
    await setJson("generation_config.json", { eos_token_id: 300 });
    digests.push(await compile());
    const data = join(dir, "onnx", "model.onnx_data");
    const bytes = await readFile(data);
    bytes.writeFloatLE(0.25, bytes.length - 4);
    await writeFile(data, bytes);
    digests.push(await compile());
    expect(new Set(digests).size).toBe(4);
  });

  test("is linked when its files never change, under the digest that names them", async () => {
    await tinyExport(dir);
    const weightsDigest = "ab".repeat(32);
    const compiled = await compile({ weightsDigest });
    expect(await readCompiledExport(compiled)).toMatchObject({ weightsDigest });
    await rm(compiled, { recursive: true });
  });

  test("may lie in one folder, or in a cache that links its files", async () => {
    await tinyExport(dir, { file: "model.onnx" });
    expect((await inspectExport(dir)).files.map(({ name }) => name)).toEqual([
      "model.onnx",
      "model.onnx_data",
    ]);
    const cache = join(dir, "cache");
    const snapshot = join(cache, "snapshots", "0123");
    await mkdir(snapshot, { recursive: true });
    await mkdir(join(cache, "blobs"));
    for (const name of (await readdir(dir)).filter((each) => each !== "cache")) {
      await writeFile(join(cache, "blobs", `of-${name}`), await readFile(join(dir, name)));
      await symlink(`../../blobs/of-${name}`, join(snapshot, name));
    }
    const compiled = await compileExport(snapshot, join(home, "compiled"), { name: "cached" });
    expect((await readCompiledExport(compiled)).files).toEqual(["model.onnx", "model.onnx_data"]);
  });

  test.each<[string, object, object]>([
    [
      "a list of end tokens",
      { "generation_config.json": { eos_token_id: [3, 5] } },
      { eosIds: [3, 5, 258] },
    ],
    [
      "an end token in config.json only",
      { "generation_config.json": { eos_token_id: null } },
      { eosIds: [3, 258] },
    ],
    [
      "tokens that the model does not have",
      { "generation_config.json": { eos_token_id: [512, 9] } },
      { eosIds: [9, 258] },
    ],
    [
      "templates by name",
      {
        "tokenizer_config.json": {
          chat_template: [
            { name: "tool", template: "a" },
            { name: "default", template: "b" },
          ],
        },
      },
      { chatTemplate: "b" },
    ],
    ["no template", { "tokenizer_config.json": { chat_template: null } }, { chatTemplate: null }],
    [
      "a flag for the start token",
      { "tokenizer_config.json": { add_bos_token: true } },
      { addBos: true },
    ],
    [
      "a start token from the post-processor",
      {
        "tokenizer.json": {
          post_processor: {
            type: "TemplateProcessing",
            single: [
              { SpecialToken: { id: "<|im_start|>", type_id: 0 } },
              { Sequence: { id: "A" } },
            ],
          },
        },
      },
      { addBos: true },
    ],
    [
      "a post-processor that starts with another token",
      {
        "tokenizer_config.json": { add_bos_token: true },
        "tokenizer.json": {
          post_processor: {
            type: "TemplateProcessing",
            single: [{ SpecialToken: { id: "<|im_end|>", type_id: 0 } }, { Sequence: { id: "A" } }],
          },
        },
      },
      { addBos: false },
    ],
  ])("with %s", async (_, files, expected) => {
    await tinyExport(dir);
    for (const [name, fields] of Object.entries(files)) await setJson(name, fields);
    expect((await inspectExport(dir)).text).toMatchObject(expected);
  });

  test("keeps a template of its own file, and only tokens that the model has", async () => {
    await tinyExport(dir);
    await writeFile(join(dir, "chat_template.jinja"), "{{ messages }}");
    const tokenizer = (await json("tokenizer.json")) as {
      added_tokens: object[];
      model: { vocab: object };
    };
    const extra = { ...tokenizer.added_tokens[0], id: 512, content: "<image>" };
    await setJson("tokenizer.json", {
      added_tokens: [...tokenizer.added_tokens, extra],
      model: { ...tokenizer.model, vocab: { ...tokenizer.model.vocab, "<image>": 512 } },
    });
    const { text } = await inspectExport(dir);
    expect(text.chatTemplate).toBe("{{ messages }}");
    expect(text.tokenizer).toEqual({ ...(await json("tokenizer.json")), ...tokenizer });
  });
});

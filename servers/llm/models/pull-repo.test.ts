import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readCompiledExport } from "../onnx-export/compiled-export.js";
import { tinyExport } from "../onnx-export/testing/tiny-export.js";
import { openLibrary } from "./library.js";
import type { PullOptions } from "./options.js";
import type { PullPlan } from "./pull-plan.js";
import { ggufBytes } from "./testing/gguf-writer.js";
import { TestHub } from "./testing/hub.js";
import { llamaFile } from "./testing/llama-gguf.js";

const REPO = { repo: "some/Model-GGUF", commit: "ab".repeat(20), license: "mit" };

let base: string;
let root: string;
let gguf: Buffer;
let exported: Record<string, Buffer>;
let hub: TestHub;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "contix-pull-repo-"));
  gguf = ggufBytes(await llamaFile({ type: "Q8_0" }));
  await tinyExport(join(base, "export"));
  const names = await readdir(join(base, "export"), { recursive: true, withFileTypes: true });
  exported = {};
  for (const entry of names.filter((found) => found.isFile())) {
    const path = join(entry.parentPath, entry.name);
    exported[path.slice(join(base, "export").length + 1)] = await readFile(path);
  }
});
afterAll(() => rm(base, { recursive: true }));
beforeEach(async () => {
  root = await mkdtemp(join(base, "library-"));
  hub = await serving({ "Some.Q8_0.gguf": gguf, "README.md": Buffer.from("x") });
});
afterEach(async () => {
  await hub[Symbol.asyncDispose]();
});

function serving(files: Record<string, Buffer>): Promise<TestHub> {
  return TestHub.start({ ...REPO, files });
}

async function replace(files: Record<string, Buffer>): Promise<void> {
  await hub[Symbol.asyncDispose]();
  hub = await serving(files);
}

function options(more: PullOptions = {}): PullOptions {
  const settings = { url: hub.url, token: undefined, connectMs: 2_000, stallMs: 300, retryMs: 1 };
  return { ...more, hub: { ...settings, tries: 2, rangeBytes: 100_000, ...more.hub } };
}

const pull = (spec: string, more?: PullOptions) => openLibrary(root, []).pull(spec, options(more));
const names = async () => (await openLibrary(root, []).list()).map(({ name }) => name);

describe("pull from a repository of a hub", () => {
  it("says what will come, brings it at a fixed commit, and needs no second download", async () => {
    const plans: PullPlan[] = [];
    const pulled = await pull("hf:some/Model-GGUF", { onPlan: (plan) => plans.push(plan) });
    expect(plans).toMatchObject([{ name: "some.q8_0", size: gguf.length, license: "mit" }]);
    expect(pulled.version).toMatchObject({
      kind: "gguf",
      arch: "llama",
      license: "mit",
      main: "Some.Q8_0.gguf",
      source: `hf:some/Model-GGUF@${REPO.commit}:Some.Q8_0.gguf`,
    });
    expect((await readFile(pulled.path)).equals(gguf)).toBe(true);
    const asked = hub.ranges.length;
    await pull(`hf:some/Model-GGUF@${REPO.commit}:q8_0`, { name: "other", hub: { token: "t" } });
    expect(hub.ranges).toHaveLength(asked);
    expect(hub.tokens.at(-1)).toBe("Bearer t");
    expect(await names()).toEqual(["other", "some.q8_0"]);
  });

  it("brings an export as a directory, which can be compiled, exported and imported", async () => {
    await replace(exported);
    const pulled = await pull("hf:some/Model-GGUF", { name: "graph" });
    expect(pulled.version).toMatchObject({ kind: "onnx", main: "onnx/model.onnx", arch: "llama" });
    for (const [path, content] of Object.entries(exported)) {
      expect((await readFile(join(pulled.path, path))).equals(content), path).toBe(true);
    }
    const library = openLibrary(root, []);
    const compiled = await library.compiled("graph");
    expect(await readCompiledExport(compiled)).toMatchObject({ name: "graph", license: "mit" });
    expect((await library.verify()).map(({ state }) => state)).not.toContain("damaged");
    const out = await library.export("graph", join(root, "out"));
    await expect(library.export("graph", out)).rejects.toMatchObject({ code: "EEXIST" });
    const again = await library.importFile(out, { name: "again" });
    expect(again.version.digest).toBe(pulled.version.digest);
    await library.remove("again");
    await library.remove("graph");
    expect((await library.gc()).removed).toEqual([]);
    expect(await readdir(join(root, "blobs"))).toEqual([]);
  });

  it("works for two at once", async () => {
    const both = await Promise.all([
      pull("hf:some/Model-GGUF", { name: "one" }),
      pull("hf:some/Model-GGUF", { name: "two" }),
    ]);
    expect(both[0].path).toBe(both[1].path);
    expect(new Set(hub.ranges).size).toBe(hub.ranges.length);
    expect(await names()).toEqual(["one", "two"]);
  });

  it("says in one error what is wrong, and leaves nothing", async () => {
    const failure = async (spec: string, more?: PullOptions) => {
      const error = await pull(spec, more).catch((thrown) => thrown);
      expect(await names()).toEqual([]);
      expect(await readdir(join(root, "blobs")).catch(() => [])).toEqual([]);
      return `${error.code} ${error.message}`;
    };
    expect(await failure("hf:some/Other")).toMatch(/^ENOENT http.*there is no some\/Other: .*404/);
    expect(await failure("hf:some/Model-GGUF@v9")).toMatch(/^ENOENT .*some\/Model-GGUF at v9/);
    expect(await failure("hf:some/Model-GGUF:Q2_K")).toMatch(/^ENOENT .*it has Some.Q8_0.gguf/);
    expect(await failure("hf:some")).toMatch(/^EINVAL .*write hf:OWNER/);
    expect(await failure("hf:some/Model-GGUF", { name: "tiny" })).toMatch(/^EINVAL/);
    for (const [status, code] of [
      [401, "EACCES"],
      [403, "EACCES"],
      [429, "EAGAIN"],
      [500, "EIO"],
    ] as const) {
      hub.api = (response) => response.writeHead(status, { "Retry-After": "999" }).end();
      expect(await failure("hf:some/Model-GGUF")).toMatch(new RegExp(`^${code} .*${status}`));
    }
    for (const body of ["", "[]", "{}", '{"sha":"../.."}', "<html>", `{"sha":5}`]) {
      hub.api = (response) => response.writeHead(200).end(body);
      expect(await failure("hf:some/Model-GGUF")).toMatch(/^EIO .*answers nonsense/);
    }
    hub.api = (response) =>
      response.writeHead(302, { Location: "/api/models/some/Model-GGUF" }).end();
    expect(await failure("hf:some/Model-GGUF")).toMatch(/^EIO .*redirect count exceeded/);
    hub.api = (response) => response.writeHead(200).write("{");
    expect(await failure("hf:some/Model-GGUF", { hub: { connectMs: 100, stallMs: 100 } })).toMatch(
      /^ETIMEDOUT .*no whole answer/,
    );
    hub.api = undefined;
    const other = Buffer.from(gguf);
    other.writeUInt8(other.readUInt8(other.length - 1) ^ 1, other.length - 1);
    hub.script.push({ kind: "change", content: other });
    expect(await failure("hf:some/Model-GGUF:Some.Q8_0.gguf")).toMatch(
      /^EIO wrong content: its sha256/,
    );
    await replace({ "no.gguf": Buffer.alloc(20_000, 5) });
    expect(await failure("hf:some/Model-GGUF")).toMatch(/^EMODEL/);
    await replace({ ...exported, "onnx/model.onnx": Buffer.alloc(20_000, 5) });
    expect(await failure("hf:some/Model-GGUF")).toMatch(/^EMODEL/);
    expect(await readdir(join(root, "compiled")).catch(() => [])).toEqual([]);
  });

  it("checks small files by the id that git gives them", async () => {
    await replace(exported);
    await pull("hf:some/Model-GGUF", { name: "a" });
    await openLibrary(root, []).remove("a");
    // The files come in the same order again.
    const order = hub.paths.filter((path) => path.includes("/resolve/"));
    const at = order.findIndex((path) => path.endsWith("/config.json"));
    const content = Buffer.from(
      exported["config.json"]?.toString().replace("llama", "lhama") ?? "",
    );
    hub.script.push(...Array(at).fill({ kind: "ok" }), { kind: "change", content });
    await expect(pull("hf:some/Model-GGUF")).rejects.toMatchObject({
      code: "EIO",
      message: expect.stringMatching(/its git id is/),
    });
  });

  it("believes no path that leads out of the directory", async () => {
    await mkdir(join(root, "inside"), { recursive: true });
    const evil = "onnx/../../../../evil.onnx";
    await replace({ ...exported, [evil]: Buffer.alloc(20_000), "/evil.gguf": gguf });
    expect((await pull("hf:some/Model-GGUF", { name: "a" })).version.main).toBe("onnx/model.onnx");
    await expect(pull(`hf:some/Model-GGUF:${evil}`)).rejects.toMatchObject({ code: "ENOENT" });
    await expect(stat(join(base, "evil.onnx"))).rejects.toMatchObject({ code: "ENOENT" });
    const manifest = join(root, "manifests", "a.json");
    const text = await readFile(manifest, "utf8");
    await writeFile(manifest, text.replace('"onnx/model.onnx"', '"../model.onnx"'));
    await expect(openLibrary(root, []).list()).rejects.toMatchObject({ code: "EMODEL" });
  });
});

import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readCompiled } from "./compiled.js";
import { openLibrary } from "./library.js";
import { ggufBytes } from "./testing/gguf-writer.js";
import { llamaFile, llamaWeights, SMALL_SHAPE } from "./testing/llama-gguf.js";
import { referenceLogits } from "./testing/reference.js";
import { TestSession } from "./testing/session.js";

let files: string;
let file: string;
let root: string;

beforeAll(async () => {
  files = await mkdtemp(join(tmpdir(), "contix-files-"));
  file = join(files, "Tiny Llama.F32.gguf");
  await writeFile(file, ggufBytes(await llamaFile()));
});
afterAll(() => rm(files, { recursive: true }));
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "contix-library-"));
});
afterEach(() => rm(root, { recursive: true }));

async function fileOf(seed: number): Promise<string> {
  const path = join(files, `seed-${seed}.gguf`);
  await writeFile(path, ggufBytes(await llamaFile({ seed, type: "Q4_1" })));
  return path;
}

/** Everything below the library but locks. */
async function everything(): Promise<string[]> {
  const found = await readdir(root, { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

describe("import", () => {
  it("compiles a file, to the same numbers as the weights in it", async () => {
    const library = openLibrary(root);
    const phases = new Set<string>();
    const {
      manifest,
      version,
      path: ggufPath,
    } = await library.importFile(file, {
      onProgress: ({ phase }) => phases.add(phase),
    });
    expect(manifest.name).toBe("tiny-llama.f32");
    expect(version).toMatchObject({ arch: "llama", license: "cc0-1.0" });
    expect((await readFile(ggufPath)).equals(await readFile(file))).toBe(true);
    expect([...phases]).toEqual(["copy", "compile"]);

    const tokens = [1, 2, 3, 300, 511, 80, 81];
    const shape = { ...SMALL_SHAPE, normEps: Math.fround(SMALL_SHAPE.normEps) };
    const reference = await referenceLogits(shape, llamaWeights(), tokens);
    const session = await TestSession.open(
      await library.compiled(version.digest, { recipe: "fp32" }),
    );
    session.reset(16);
    const logits = await session.enter(tokens, [...tokens.keys()]);
    for (const [t, row] of logits.entries()) {
      for (const [i, value] of row.entries()) {
        expect(Math.abs(value - (reference[t]?.[i] ?? 99))).toBeLessThan(2e-3);
      }
    }
  });

  it("compiles once, and again only what lost a file", async () => {
    const library = openLibrary(root);
    await library.importFile(file, { name: "a" });
    const compiles: number[] = [];
    const compiled = () => library.compiled("a", { onProgress: ({ done }) => compiles.push(done) });
    const dir = await compiled();
    expect(compiles).toEqual([]);
    expect(basename(dir)).toBe((await readCompiled(dir)).engineDigest);
    await rm(join(dir, "weights.bin"));
    expect(await compiled()).toBe(dir);
    expect(compiles.length).toBeGreaterThan(0);
  });

  it("refuses what is no model before it writes anything", async () => {
    const library = openLibrary(root);
    const cut = join(files, "cut.gguf");
    await writeFile(cut, await readFile(file));
    await truncate(cut, 200_000);
    await expect(library.importFile(cut)).rejects.toMatchObject({ code: "EMODEL" });
    await expect(library.importFile(join(files, "none.gguf"))).rejects.toMatchObject({
      code: "ENOENT",
    });
    for (const name of ["tiny", "smollm2", "../up", ""]) {
      await expect(library.importFile(file, { name })).rejects.toMatchObject({ code: "EINVAL" });
    }
    expect(await everything()).toEqual([]);
  });

  it("leaves nothing when it is stopped, in any phase", async () => {
    for (const phase of ["copy", "compile"]) {
      const stop = new AbortController();
      const library = openLibrary(root);
      const imported = library.importFile(file, {
        signal: stop.signal,
        onProgress: (progress) => progress.phase === phase && stop.abort(),
      });
      await expect(imported).rejects.toMatchObject({ name: "AbortError" });
      expect(await everything()).toEqual([]);
    }
  });
});

describe("names and versions", () => {
  it("resolves names, digests and versions; the newest is the name's", async () => {
    const library = openLibrary(root);
    const one = (await library.importFile(await fileOf(1), { name: "a" })).version.digest;
    const two = (await library.importFile(await fileOf(2), { name: "a" })).version.digest;
    const digestOf = async (wanted: string) => (await library.resolve(wanted)).version.digest;
    expect(await digestOf("a")).toBe(two);
    expect(await digestOf("A")).toBe(two);
    expect(await digestOf(`a@${one}`)).toBe(one);
    expect(await digestOf(`a@${one.slice(0, 8)}`)).toBe(one);
    expect(await digestOf(one.slice(0, 12))).toBe(one);
    for (const wrong of ["b", "a@123", "a@00000000", one.slice(0, 7), ""]) {
      await expect(library.resolve(wrong)).rejects.toMatchObject({ code: "EMODEL" });
    }
    await expect(library.resolve("smollm2")).rejects.toMatchObject({
      message: expect.stringMatching(/is not here: run `contix model pull smollm2`/),
    });
  });

  it("removes a version or a model with all that belongs to it, and no more", async () => {
    const library = openLibrary(root);
    const [first, second] = [await fileOf(1), await fileOf(2)];
    const one = (await library.importFile(first, { name: "a" })).version.digest;
    await library.importFile(second, { name: "a" });
    await library.importFile(first, { name: "b" });
    await library.remove(`a@${one}`);
    expect((await library.resolve("b")).version.digest).toBe(one);
    expect(await library.compiledForms(one)).toHaveLength(1);
    await library.remove("b");
    expect(await library.compiledForms(one)).toEqual([]);
    expect((await library.list()).map(({ name }) => name)).toEqual(["a"]);
    await library.remove("a");
    expect(await everything()).toEqual([]);
    await expect(library.remove("a")).rejects.toMatchObject({ code: "EMODEL" });
  });

  it("loses no version when two import at once", async () => {
    const paths = [await fileOf(1), await fileOf(2), await fileOf(3)];
    const imports = paths.map((path) => openLibrary(root).importFile(path, { name: "a" }));
    await Promise.all([...imports, openLibrary(root).importFile(paths[0] ?? "", { name: "a" })]);
    const [manifest] = await openLibrary(root).list();
    expect(manifest?.versions).toHaveLength(3);
  });

  it("says that a model's file is gone, or its manifest damaged", async () => {
    const library = openLibrary(root);
    const { path: ggufPath } = await library.importFile(file, { name: "a" });
    await rm(ggufPath);
    await expect(library.resolve("a")).rejects.toMatchObject({
      message: expect.stringMatching(/is gone: pull it again/),
    });
    await writeFile(join(root, "manifests", "a.json"), "{}");
    await expect(library.list()).rejects.toMatchObject({
      code: "EMODEL",
      message: expect.stringMatching(/a.json is damaged/),
    });
  });

  it("makes the tiny model when it is named", async () => {
    const library = openLibrary(root);
    const dir = await library.compiled("tiny");
    expect((await readCompiled(dir)).name).toBe("tiny");
    expect(await library.list()).toEqual([]);
  });
});

import {
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { holdCompiled } from "./holds.js";
import { type Library, openLibrary } from "./library.js";
import { hold } from "./lock.js";
import { ggufBytes } from "./testing/gguf-writer.js";
import { llamaFile } from "./testing/llama-gguf.js";

let base: string;
let file: string;
let other: string;
/** A library with the model "a", made once and copied by links. */
let made: string;
let root: string;
let library: Library;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "contix-keep-"));
  [file = "", other = ""] = await Promise.all(
    [1, 2].map(async (seed) => {
      const path = join(base, `${seed}.gguf`);
      await writeFile(path, ggufBytes(await llamaFile({ seed, type: "Q4_1" })));
      return path;
    }),
  );
  made = join(base, "made");
  await openLibrary(made, []).importFile(file, { name: "a" });
});
afterAll(() => rm(base, { recursive: true }));
beforeEach(async () => {
  root = await mkdtemp(join(base, "library-"));
  await copyTree(made, root);
  library = openLibrary(root, []);
});
afterEach(() => rm(root, { recursive: true }));

async function copyTree(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const source = join(entry.parentPath, entry.name);
    const target = join(to, source.slice(from.length));
    await mkdir(join(target, ".."), { recursive: true });
    await link(source, target);
  }
}

async function damage(path: string): Promise<void> {
  const content = await readFile(path);
  content.writeUInt8(content.readUInt8(content.length - 9) ^ 1, content.length - 9);
  // Another file under the name: the linked one is everybody's.
  await rm(path);
  await writeFile(path, content);
}

const states = async (name?: string) =>
  Object.fromEntries((await library.verify(name)).map(({ kind, state }) => [kind, state]));

describe("verify", () => {
  it("finds what changed, in files and compiled models, says what to do, and removes it", async () => {
    expect(await states()).toEqual({ file: "ok", compiled: "ok" });
    const { path, version } = await library.resolve("a");
    const compiled = await library.compiled("a");
    await damage(path);
    await damage(join(compiled, "weights.bin"));
    const findings = await library.verify("a");
    expect(findings).toMatchObject([
      {
        kind: "file",
        path,
        state: "damaged",
        fix: expect.stringMatching(/--remove-bad, then import 1.gguf again as a/),
      },
      { kind: "compiled", path: join(compiled, "weights.bin"), state: "damaged" },
    ]);
    const release = await holdCompiled(compiled);
    const held = await library.verify("a", { removeBad: true });
    expect(held.map(({ removed }) => removed)).toEqual([true, false]);
    expect(held[1]?.fix).toMatch(/in use/);
    release();
    await library.importFile(file, { name: "a" });
    await library.verify("a", { removeBad: true });
    expect(await library.compiledForms(version.digest)).toEqual([]);
    await library.compiled("a");
    expect(await states()).toEqual({ file: "ok", compiled: "ok" });
  });

  it("tells a missing file, and a compiled model from before there were checksums", async () => {
    const compiled = await library.compiled("a");
    await rm((await library.resolve("a")).path);
    await rm(join(compiled, "SHA256SUMS"));
    expect(await states("a")).toEqual({ file: "missing", compiled: "unknown" });
    await writeFile(join(compiled, "SHA256SUMS"), "nonsense\n");
    expect(await states("a")).toEqual({ file: "missing", compiled: "damaged" });
  });

  it("stops when it is told to", async () => {
    const stop = new AbortController();
    stop.abort();
    const verified = library.verify("a", { signal: stop.signal });
    await expect(verified).rejects.toMatchObject({ name: "AbortError" });
  });
});

describe("rm", () => {
  it("refuses a model in use, and by force takes the name only", async () => {
    const compiled = await library.compiled("a");
    const { path } = await library.resolve("a");
    const release = await holdCompiled(compiled);
    await expect(library.remove("a")).rejects.toMatchObject({
      code: "EBUSY",
      message: expect.stringMatching(new RegExp(`in use by process ${process.pid} \\(`)),
    });
    expect(await library.list()).toHaveLength(1);
    await library.copy("a", "b");
    await library.remove("a");
    expect(await library.remove("b", { force: true })).toMatchObject({
      users: [expect.any(String)],
    });
    expect(await library.list()).toEqual([]);
    for (const kept of [path, join(compiled, "weights.bin")]) await stat(kept);
    const { kept, removed } = await library.gc();
    expect(kept).toMatchObject([{ kind: "compiled", path: compiled }]);
    expect(removed).toContainEqual(expect.objectContaining({ kind: "blob", path }));
    release();
    expect((await library.gc()).removed).toMatchObject([{ kind: "compiled", path: compiled }]);
  });

  it("during an import of the same file takes the name, and the import ends well", async () => {
    let removing: Promise<unknown> | undefined;
    await library.importFile(file, {
      name: "b",
      onProgress: ({ phase, done, total }) => {
        if (phase === "copy" && done === total) removing ??= library.remove("a");
      },
    });
    await removing;
    expect((await library.list()).map(({ name }) => name)).toEqual(["b"]);
    await library.compiled("b");
    expect(await states()).toEqual({ file: "ok", compiled: "ok" });
  });
});

describe("gc", () => {
  it("removes what nobody can use, and only tells when it is told to", async () => {
    const kept = await library.compiled("a");
    const hidden = `.staging-999999999-abcd-${(await import("node:os")).hostname()}`;
    const blob = join(root, "blobs", `${"1".repeat(64)}.gguf`);
    const outdated = join(root, "compiled", "2".repeat(64));
    const part = join(root, "partial", `${"3".repeat(64)}.part`);
    const fresh = join(root, "partial", `${"4".repeat(64)}.part`);
    await mkdir(join(root, "blobs", hidden));
    await mkdir(join(root, "partial"), { recursive: true });
    for (const path of [blob, part, fresh, `${part}.json`]) await writeFile(path, "x");
    await utimes(part, 0, 0);
    await copyTree(kept, outdated);
    const config = join(outdated, "config.json");
    const text = (await readFile(config, "utf8")).replace(basename(kept), basename(outdated));
    await rm(config);
    await writeFile(config, text);
    await mkdir(join(root, "compiled", "broken"));
    await mkdir(join(root, "exports", "5".repeat(64)), { recursive: true });
    await writeFile(join(root, "manifests", "a.json.1.new"), "{");
    await library.gc({ dryRun: true });
    const before = (await readdir(root, { recursive: true })).sort();
    const dry = await library.gc({ dryRun: true });
    expect((await readdir(root, { recursive: true })).sort()).toEqual(before);
    const gone = await library.gc();
    expect(gone).toEqual(dry);
    expect(new Set(gone.removed.map(({ path }) => basename(path)))).toEqual(
      new Set([
        "broken",
        hidden,
        "a.json.1.new",
        ...[blob, outdated, part, "5".repeat(64)].map((p) => basename(p)),
      ]),
    );
    expect((await library.gc()).removed).toEqual([]);
    expect(await readdir(join(root, "partial"))).toEqual([basename(fresh)]);
    expect(await library.compiled("a")).toBe(kept);
  });

  it("leaves alone what an import or a driver uses", async () => {
    const compiled = await library.compiled("a");
    await rm(join(root, "manifests", "a.json"));
    const { path = "" } =
      (await library.gc({ dryRun: true })).removed.find((g) => g.kind === "blob") ?? {};
    const importing = await hold(path);
    expect((await library.gc()).kept.map(({ kind }) => kind)).toEqual(["compiled", "blob"]);
    importing?.();
    const running = await holdCompiled(compiled);
    const { kept, removed } = await library.gc({ dryRun: true });
    expect(kept.map(({ kind }) => kind)).toEqual(["compiled"]);
    expect(removed.map(({ kind }) => kind)).toContain("blob");
    running();
  });
});

describe("cp", () => {
  it("gives a second name, and takes one from another model only by force", async () => {
    const { version } = await library.copy("a", "b");
    expect((await library.resolve("b")).version).toEqual(version);
    await library.copy("a", "b");
    await library.importFile(other, { name: "c" });
    await expect(library.copy("a", "c")).rejects.toMatchObject({ code: "EEXIST" });
    await library.copy("a", "c", { force: true });
    expect((await library.resolve("c")).version.digest).toBe(version.digest);
    expect(await readdir(join(root, "blobs"))).toHaveLength(1);
    await expect(library.copy("a", "tiny")).rejects.toMatchObject({ code: "EINVAL" });
    await expect(library.copy("none", "d")).rejects.toMatchObject({ code: "EMODEL" });
    await library.remove("a");
    expect(await states()).toEqual({ file: "ok", compiled: "ok" });
  });
});

describe("export", () => {
  it("copies the file out, checked, and over nothing unless forced", async () => {
    const target = join(root, "out.gguf");
    expect(await library.export("a", target)).toBe(target);
    expect((await readFile(target)).equals(await readFile(file))).toBe(true);
    await expect(library.export("a", target)).rejects.toMatchObject({ code: "EEXIST" });
    await writeFile(target, "old");
    await library.export("a", target, { force: true });
    expect((await stat(target)).nlink).toBe(1);
    await mkdir(join(root, "dir"));
    expect(await library.export("a", join(root, "dir"))).toBe(join(root, "dir", "a.gguf"));
    await damage((await library.resolve("a")).path);
    const damaged = library.export("a", join(root, "never.gguf"));
    await expect(damaged).rejects.toMatchObject({
      code: "EIO",
      message: expect.stringMatching(/is damaged/),
    });
    expect((await readdir(root)).filter((name) => /never|staging/.test(name))).toEqual([]);
  });

  it("overwrites nothing that came while it copied", async () => {
    const target = join(root, "out.gguf");
    const onProgress = async () => {
      await (await open(target, "a")).close();
    };
    let made: Promise<void> | undefined;
    const late = library.export("a", target, {
      onProgress: () => {
        made ??= onProgress();
      },
    });
    await expect(late).rejects.toMatchObject({ code: "EEXIST" });
    await made;
    expect((await stat(target)).size).toBe(0);
  });
});

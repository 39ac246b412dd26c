import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, type TestContext } from "vitest";
import type { CatalogEntry } from "./catalog.js";
import { openLibrary } from "./library.js";
import { sizeOf } from "./library-shelf.js";
import { hashFile } from "./sums.js";
import { ggufBytes } from "./testing/gguf-writer.js";
import { TestHub } from "./testing/hub.js";
import { llamaFile } from "./testing/llama-gguf.js";

/** Bytes of the small disk. */
const DISK = 4 << 20;
const REPO = { repo: "a/b", commit: "c" };

let root: string;
let disk: string;
let mounted = false;
let file: string;
let size: number;
let hub: TestHub;
let entry: CatalogEntry;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "contix-disk-"));
  disk = join(root, "disk");
  await mkdir(disk);
  const mount = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${DISK}`, "tmpfs", disk]);
  mounted = mount.status === 0;
  const gguf = ggufBytes(await llamaFile({ type: "Q8_0" }));
  file = join(root, "a.gguf");
  await writeFile(file, gguf);
  size = gguf.length;
  hub = await TestHub.start({ ...REPO, files: { "a.gguf": gguf } });
  const digest = await hashFile(file);
  const place = { repo: REPO.repo, revision: REPO.commit, path: "a.gguf" };
  entry = { name: "a", aliases: [], license: "x", digest, size, hub: place };
});
afterAll(async () => {
  await hub[Symbol.asyncDispose]();
  if (mounted) spawnSync("umount", [disk]);
  await rm(root, { recursive: true });
});

/** Fills the disk but for `free` bytes. */
async function leave(free: number): Promise<void> {
  await rm(join(disk, "models"), { recursive: true, force: true });
  await rm(join(disk, "most"), { force: true });
  const { stdout } = spawnSync("df", ["--output=avail", "-B1", disk], { encoding: "utf8" });
  const avail = Number(stdout.split("\n")[1]);
  await writeFile(join(disk, "most"), Buffer.alloc(Math.max(0, avail - free)));
}

/** Says that there is room, so that the writes themselves must fail. */
const lie = async () => Number.POSITIVE_INFINITY;

function needsMount(context: TestContext): void {
  if (!mounted) context.skip("mounting a small disk needs root");
}

async function filesIn(dir: string): Promise<string[]> {
  const options = { recursive: true, withFileTypes: true } as const;
  const found = await readdir(join(disk, "models", dir), options).catch(() => []);
  return found.filter((entry) => entry.isFile()).map(({ name }) => name);
}

const full = { code: "ENOSPC", message: expect.stringMatching(/no space left on the disk of/) };

it("says before it begins that there is no room, with both numbers", async (context) => {
  needsMount(context);
  await leave(100_000);
  const library = openLibrary(join(disk, "models"), [entry]);
  const numbers = /needs \d+\.\d MiB, 0\.\d MiB are free/;
  const both = { code: "ENOSPC", message: expect.stringMatching(numbers) };
  await expect(library.importFile(file, { name: "b" })).rejects.toMatchObject(both);
  const settings = { url: hub.url, retryMs: 1 };
  await expect(library.pull("a", { hub: settings })).rejects.toMatchObject(both);
  // Room for the file, not for what it is compiled to.
  await leave(size + 300_000);
  await expect(library.importFile(file, { name: "b" })).rejects.toMatchObject({
    code: "ENOSPC",
    message: expect.stringMatching(/compiling b needs/),
  });
  for (const dir of ["blobs", "compiled", "manifests", "partial"]) {
    expect(await filesIn(dir)).toEqual([]);
  }
});

it("leaves no model of an import wherever the disk is full, and the next one succeeds", async (context) => {
  needsMount(context);
  const library = openLibrary(join(disk, "models"), [], lie);
  await leave(DISK);
  await library.importFile(file, { name: "b" });
  const whole = await sizeOf(join(disk, "models"));
  for (const part of [0, 0.1, 0.4, 0.6, 0.9, 0.99]) {
    await leave(whole * part);
    await expect(library.importFile(file, { name: "b" })).rejects.toMatchObject(full);
    expect(await library.list()).toEqual([]);
    for (const dir of ["blobs", "compiled", "manifests"]) expect(await filesIn(dir)).toEqual([]);
    await truncate(join(disk, "most"), 0);
    await library.importFile(file, { name: "b" });
    expect((await library.verify("b")).map(({ state }) => state)).toEqual(["ok", "ok"]);
  }
});

it("leaves a pull that goes on when there is room again", async (context) => {
  needsMount(context);
  const library = openLibrary(join(disk, "models"), [entry], lie);
  const settings = { url: hub.url, retryMs: 1, rangeBytes: 100_000, connections: 2 };
  for (const free of [0, 8_192, 200_000, size - 5_000]) {
    await leave(free);
    await expect(library.pull("a", { hub: settings })).rejects.toMatchObject(full);
    expect(await library.list()).toEqual([]);
    expect(await filesIn("blobs")).toEqual([]);
    await truncate(join(disk, "most"), 0);
    const { path } = await library.pull("a", { hub: settings });
    expect((await stat(path)).size).toBe(size);
    expect(await filesIn("partial")).toEqual([]);
  }
});

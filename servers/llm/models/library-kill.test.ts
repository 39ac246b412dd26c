import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tinyExport } from "../onnx-export/testing/tiny-export.js";
import type { CatalogEntry } from "./catalog.js";
import { type Library, openLibrary } from "./library.js";
import { hashFile } from "./sums.js";
import type { Death } from "./testing/die.js";
import { ggufBytes } from "./testing/gguf-writer.js";
import { TestHub } from "./testing/hub.js";
import { llamaFile } from "./testing/llama-gguf.js";

const DIE = fileURLToPath(new URL("testing/die.ts", import.meta.url));
/** CONTIX_KILL_RUNS=100 for a long look, CONTIX_KILL_SEED to see a failure again. */
const RUNS = Number(process.env.CONTIX_KILL_RUNS ?? 2);
const SEED = Number(process.env.CONTIX_KILL_SEED ?? Math.floor(Math.random() * 1e6));
const REPO = { repo: "a/b", commit: "0".repeat(40) };

let files: string;
let file: string;
let hub: TestHub;
let entry: CatalogEntry;

beforeAll(async () => {
  files = await mkdtemp(join(tmpdir(), "contix-kill-"));
  file = join(files, "a.gguf");
  const gguf = ggufBytes(await llamaFile({ type: "Q8_0" }));
  await writeFile(file, gguf);
  await tinyExport(join(files, "export"));
  const paths = ["onnx/model.onnx", "onnx/model.onnx_data", "config.json", "tokenizer.json"];
  const exported: Record<string, Buffer> = { "a.gguf": gguf };
  for (const path of paths) exported[path] = await readFile(join(files, "export", path));
  hub = await TestHub.start({ ...REPO, files: exported });
  const place = { repo: REPO.repo, revision: REPO.commit, path: "a.gguf" };
  const digest = await hashFile(file);
  entry = { name: "known", aliases: [], license: "x", digest, size: gguf.length, hub: place };
});
afterAll(async () => {
  await hub[Symbol.asyncDispose]();
  await rm(files, { recursive: true });
});

/** The signal by which the process ended; null when it came to the end of its work. */
function die(death: Death): Promise<{ signal: string | null; output: string }> {
  const child = spawn(process.execPath, ["--import", "tsx", DIE, JSON.stringify(death)]);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve) => child.once("close", (_, signal) => resolve({ signal, output })));
}

/** Each kind of work, and about how many operations on files it takes. */
const WORK: readonly {
  readonly what: string;
  readonly operations: number;
  readonly death: () => Omit<Death, "root" | "at">;
  readonly again: (library: Library) => Promise<unknown>;
}[] = [
  {
    what: "an import",
    operations: 75,
    death: () => ({ file }),
    again: (library) => library.importFile(file, { name: "a" }),
  },
  {
    what: "a pull",
    operations: 75,
    death: () => ({ pull: { wanted: "known", url: hub.url, catalog: [entry] } }),
    again: (library) => library.pull("known", { hub: { url: hub.url } }),
  },
  {
    what: "a pull of an export",
    operations: 110,
    death: () => ({ pull: { wanted: "hf:a/b:model.onnx", url: hub.url, catalog: [] } }),
    again: (library) => library.pull("hf:a/b:model.onnx", { hub: { url: hub.url } }),
  },
];

describe.each(WORK)("$what killed at any moment", ({ operations, death, again, what }) => {
  it.each(Array.from({ length: RUNS }, (_, i) => SEED + i))("seed %i", async (seed) => {
    const root = await mkdtemp(join(tmpdir(), "contix-killed-"));
    const at = 1 + Math.floor(draw(`${what} ${seed}`) * operations);
    const { signal, output } = await die({ root, at, ...death() });
    const context = `CONTIX_KILL_SEED=${seed}, ${what}, operation ${at}: ${output}`;
    if (signal !== "SIGKILL") expect(Number(output), context).toBeLessThan(at);
    const library = openLibrary(root, [entry]);
    // What has a name is whole.
    for (const { state } of await library.verify()) expect(state, context).toBe("ok");
    await again(library);
    expect(
      (await library.verify()).map(({ state }) => state),
      context,
    ).not.toContain("damaged");
    await library.gc({ partialDays: 0 });
    const left = (await readdir(root, { recursive: true })).filter((name) =>
      /staging|\.part|\.new|\.lock/.test(name),
    );
    expect(left, context).toEqual([]);
    expect(await library.gc(), context).toEqual({ removed: [], kept: [] });
    await rm(root, { recursive: true });
  });
});

/** A number in [0, 1) from a text. */
function draw(text: string): number {
  let hash = 2_166_136_261;
  for (const letter of text) hash = Math.imul(hash ^ letter.charCodeAt(0), 16_777_619);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 2_246_822_519);
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32;
}

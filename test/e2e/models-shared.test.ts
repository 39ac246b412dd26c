/** Two processes that bring the same model into one library at once: both succeed, one has done it. */
import { createHash } from "node:crypto";
import { mkdtemp, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { withLock } from "../../servers/llm/models/lock.js";
import { ggufBytes } from "../../servers/llm/models/testing/gguf-writer.js";
import { TestHub } from "../../servers/llm/models/testing/hub.js";
import { llamaFile } from "../../servers/llm/models/testing/llama-gguf.js";
import { Bench } from "./cli-runner.js";

let bench: Bench;
let gguf: Buffer;
let digest: string;
let models: string;
beforeAll(async () => {
  bench = await Bench.open();
  gguf = ggufBytes(await llamaFile({ type: "Q8_0" }));
  digest = createHash("sha256").update(gguf).digest("hex");
});
afterAll(() => bench[Symbol.asyncDispose]());
beforeEach(async () => {
  models = await mkdtemp(join(bench.root, "models-"));
});

/** The names in a directory of the library, without what only keeps its house. */
async function contents(dir: string): Promise<string[]> {
  const names = await readdir(join(models, dir)).catch(() => []);
  return names.filter((name) => name !== ".choices");
}

/**
 * Runs the command in two processes. The lock holds both up until each has said that it
 * waits for another: from there on they are at the same place at the same time.
 */
async function twice(args: readonly string[], lock: string, waits: string, env: NodeJS.ProcessEnv) {
  const options = { env: { ...env, CONTIX_MODELS: models } };
  const both = await withLock(join(models, "locks"), lock, {}, async () => {
    const started = [1, 2].map(() => bench.start([...args, "--json"], options));
    await Promise.all(started.map((one) => one.says(waits)));
    return started;
  });
  const results = await Promise.all(both.map((one) => one.ended));
  for (const { code, stderr } of results) expect(code, stderr).toBe(0);
  const [first, second] = results.map(({ stdout }) => JSON.parse(stdout));
  expect(second).toMatchObject({ ...first, addedAt: expect.any(String) });
}

/** One model in one version, one file, one compiled form, all of it sound, and nothing besides. */
async function expectOne(name: string): Promise<void> {
  const options = { env: { CONTIX_MODELS: models } };
  const list = JSON.parse(await bench.ok(["model", "ls", "--json"], options));
  expect(list).toMatchObject([{ name, versions: [{ digest }] }]);
  expect(list[0].versions).toHaveLength(1);
  expect(await contents("blobs")).toEqual([`${digest}.gguf`]);
  expect(await contents("compiled")).toHaveLength(1);
  expect(await contents("manifests")).toEqual([`${name}.json`]);
  for (const dir of ["partial", "locks"]) expect(await contents(dir), dir).toEqual([]);
  const findings = JSON.parse(await bench.ok(["model", "verify", "--json"], options));
  expect(findings.map(({ state }: { state: string }) => state)).toEqual(["ok", "ok"]);
  const gc = JSON.parse(await bench.ok(["model", "gc", "--json"], options));
  expect(gc).toMatchObject({ removed: [], kept: [] });
}

it("import the same file", { timeout: 120_000 }, async () => {
  const file = join(bench.root, "same.gguf");
  await writeFile(file, gguf);
  const args = ["model", "import", file, "--name", "mine"];
  await twice(args, `compile-${digest}`, "another process compiles this model", {});
  await expectOne("mine");
});

it("pull the same model, with one download", { timeout: 120_000 }, async () => {
  const files = { "same.gguf": gguf };
  await using hub = await TestHub.start({ repo: "a/b", commit: "0".repeat(40), files });
  const args = ["model", "pull", "hf:a/b:same.gguf", "--name", "mine"];
  const env = { HF_ENDPOINT: hub.url };
  await twice(args, `pull-${digest}`, "another process pulls this model", env);
  expect(hub.ranges).toHaveLength(1);
  await expectOne("mine");
});

/** Which recipe a model got, and why: told by who compiles it, and by `contix model show`. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { openLibrary } from "../../servers/llm/models/library.js";
import { ggufBytes } from "../../servers/llm/models/testing/gguf-writer.js";
import { TestHub } from "../../servers/llm/models/testing/hub.js";
import { llamaFile } from "../../servers/llm/models/testing/llama-gguf.js";
import { main } from "../program.js";
import { ensureModel } from "./model.js";

const WHY = "q8: a model this small is as fast in any form";
const CHOICE = { format: 1, recipe: "q8", kv: "fp32", reason: WHY.slice("q8: ".length) };

let files: string;
let gguf: string;
let root: string;
let hub: TestHub;

beforeAll(async () => {
  files = await mkdtemp(join(tmpdir(), "contix-choice-"));
  gguf = join(files, "some.gguf");
  const bytes = ggufBytes(await llamaFile({ type: "Q8_0" }));
  await writeFile(gguf, bytes);
  hub = await TestHub.start({ repo: "a/b", commit: "0".repeat(40), files: { "some.gguf": bytes } });
});
afterAll(async () => {
  await hub[Symbol.asyncDispose]();
  await rm(files, { recursive: true });
});
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "contix-choice-library-"));
});
afterEach(() => rm(root, { recursive: true }));

/** What a command that goes well prints. */
async function contix(...args: string[]): Promise<string> {
  let printed = "";
  const stdout = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += text;
    return true;
  });
  const stderr = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  vi.stubEnv("CONTIX_MODELS", root);
  vi.stubEnv("HF_ENDPOINT", hub.url);
  try {
    expect(await main(["model", ...args])).toBe(0);
    return printed;
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
    vi.unstubAllEnvs();
  }
}

it.each([
  ["import", (): string => gguf],
  ["pull", (): string => "hf:a/b"],
] as const)("contix model %s ends with the choice and its reason", async (command, model) => {
  const printed = await contix(command, model(), "--name", "mine");
  expect(printed.trimEnd().split("\n").at(-1)).toBe(`chosen ${WHY}`);
  expect(await contix("show", "mine")).toMatch(new RegExp(`^chosen +${WHY}$`, "m"));
  const shown = JSON.parse(await contix("show", "mine", "--json"));
  expect(shown.choice).toEqual(CHOICE);
});

it("tells it as JSON, and nothing of it to who has named a recipe", async () => {
  const named = ["import", gguf, "--name", "mine", "--recipe", "fp32"];
  expect(await contix(...named)).not.toContain("chosen");
  expect(await contix("show", "mine")).not.toContain("chosen");
  const auto = JSON.parse(await contix("import", gguf, "--name", "mine", "--json"));
  expect(auto.choice).toEqual(CHOICE);
  expect(await contix(...named)).not.toContain("chosen");
  expect(JSON.parse(await contix(...named, "--json"))).not.toHaveProperty("choice");
});

it("tells it once where a daemon is brought up", async () => {
  const library = openLibrary(root);
  await library.importFile(gguf, { name: "mine", recipe: "q8" });
  const notes: string[] = [];
  const onNote = (line: string) => notes.push(line);
  await ensureModel("mine", { library, quiet: true, onNote });
  expect(notes).toEqual([`chosen ${WHY}`]);
  await ensureModel("mine", { library, quiet: true, onNote });
  expect(notes).toHaveLength(1);
});

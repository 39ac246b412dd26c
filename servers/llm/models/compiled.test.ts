import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readCompiled } from "./compiled.js";
import { tinyModel } from "./tiny.js";

let root: string;
let good: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "contix-compiled-"));
  good = await tinyModel(root);
});
afterAll(() => rm(root, { recursive: true }));

async function damaged(damage: (dir: string) => Promise<void>): Promise<string> {
  const dir = await mkdtemp(join(root, "damaged-"));
  await cp(good, dir, { recursive: true });
  await damage(dir);
  const error = await readCompiled(dir).catch((thrown) => thrown);
  expect(error).toMatchObject({ code: "EMODEL" });
  return error.message;
}

it("reads a whole model", async () => {
  expect(await readCompiled(good)).toMatchObject({ format: 1, name: "tiny", window: 4096 });
});

it("names what is missing or wrong", async () => {
  expect(await damaged((dir) => rm(join(dir, "weights.bin")))).toMatch(/no weights.bin/);
  expect(await damaged((dir) => rm(join(dir, "config.json")))).toMatch(/can not be read/);
  expect(await damaged((dir) => writeFile(join(dir, "config.json"), "{"))).toMatch(/is not JSON/);
  const wrong = await damaged(async (dir) => {
    const config = JSON.parse(await readFile(join(dir, "config.json"), "utf8"));
    await writeFile(join(dir, "config.json"), JSON.stringify({ ...config, layers: 0 }));
  });
  expect(wrong).toMatch(/config.json is not valid: layers:/);
});

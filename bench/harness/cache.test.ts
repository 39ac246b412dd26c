import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cachedFile } from "./cache.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "contix-cache-test-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("makes a file once, and again when its bytes have changed", async () => {
  let made = 0;
  const file = join(folder, "deep", "file");
  const get = () => cachedFile(file, (path) => writeFile(path, `made ${++made}`));
  expect(await readFile(await get(), "utf8")).toBe("made 1");
  expect(await readFile(await get(), "utf8")).toBe("made 1");
  await writeFile(file, "something else");
  expect(await readFile(await get(), "utf8")).toBe("made 2");
});

test("leaves nothing of a file whose making failed", async () => {
  const file = join(folder, "file");
  const broken = cachedFile(file, async (path) => {
    await writeFile(path, "half");
    throw new Error("the disk is full");
  });
  await expect(broken).rejects.toThrow("the disk is full");
  await expect(readFile(file)).rejects.toThrow("ENOENT");
});

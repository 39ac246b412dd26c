import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { removeStale, stageDirectory, stagingName } from "./staging.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "contix-staging-"));
});
afterEach(() => rm(root, { recursive: true }));

it("shows a directory only when it is whole", async () => {
  const target = join(root, "a", "target");
  await stageDirectory(target, async (staging) => {
    await writeFile(join(staging, "file"), "content");
    expect(await readdir(join(root, "a"))).not.toContain("target");
  });
  expect(await readFile(join(target, "file"), "utf8")).toBe("content");
  expect(await readdir(join(root, "a"))).toEqual(["target"]);
});

it("leaves nothing when it fails, and says that the disk is full", async () => {
  const fail = (code: string) =>
    stageDirectory(join(root, "target"), async (staging) => {
      await writeFile(join(staging, "file"), "content");
      throw Object.assign(new Error(code), { code });
    });
  await expect(fail("ENOSPC")).rejects.toMatchObject({
    name: "ContixError",
    code: "ENOSPC",
    message: `no space left on the disk of ${root}`,
  });
  await expect(fail("EDQUOT")).rejects.toMatchObject({ name: "ContixError", code: "ENOSPC" });
  await expect(fail("EIO")).rejects.toMatchObject({ name: "Error", code: "EIO" });
  expect(await readdir(root)).toEqual([]);
});

it("lets the first of two win", async () => {
  const target = join(root, "target");
  const fill = (text: string) => (staging: string) => writeFile(join(staging, "file"), text);
  await Promise.all([stageDirectory(target, fill("one")), stageDirectory(target, fill("two"))]);
  expect(await readdir(root)).toEqual(["target"]);
});

it("removes what dead processes left, and nothing else", async () => {
  const { pid: dead } = spawnSync("true");
  const gone = `.staging-${dead}-abcd-${hostname()}`;
  const foreign = `.staging-${dead}-abcd-other-host`;
  const old = `.staging-${dead}-0123-other-host`;
  const mine = stagingName();
  for (const name of [gone, foreign, old, mine, "other"]) await mkdir(join(root, name));
  const yesterday = new Date(Date.now() - 25 * 3600 * 1000);
  await utimes(join(root, old), yesterday, yesterday);
  await removeStale(root);
  expect((await readdir(root)).sort()).toEqual([foreign, mine, "other"].sort());
});

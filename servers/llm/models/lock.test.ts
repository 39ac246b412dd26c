import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { holdCompiled, removeUnusedDirectory, usersOf } from "./holds.js";
import { hold, ifUnlocked, isHeld, whileUnused, withLock } from "./lock.js";

let root: string;
let file: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "contix-lock-"));
  file = join(root, "config.json");
  await writeFile(file, "{}");
});
afterEach(() => rm(root, { recursive: true }));

/** A process that locks `path` as `mode` says and then only waits. */
async function holder(path: string, mode: "LOCK_SH" | "LOCK_EX"): Promise<ChildProcess> {
  const program = `
    const file = require("node:fs").openSync(${JSON.stringify(path)}, "a");
    const flock = require("koffi").load(null).func("int flock(int, int)");
    process.stdout.write(String(flock(file, ${mode === "LOCK_SH" ? 1 : 2})));
    setInterval(() => {}, 1e6);`;
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise<void>((resolve) => child.stdout?.once("data", () => resolve()));
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  const closed = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGKILL");
  await closed;
}

describe("withLock", () => {
  it("lets one in at a time, and leaves no file", async () => {
    let inside = 0;
    let most = 0;
    const waits: string[] = [];
    const work = async () => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inside--;
    };
    const onWait = () => waits.push("waits");
    await Promise.all(Array.from({ length: 6 }, () => withLock(root, "a", { onWait }, work)));
    expect(most).toBe(1);
    expect(waits).toHaveLength(5);
    expect(await readdir(root)).toEqual(["config.json"]);
  });

  it("takes over at once from a process that was killed, and gives way to a signal", async () => {
    const other = await holder(join(root, "a.lock"), "LOCK_EX");
    expect(await ifUnlocked(root, "a", async () => 1)).toBeUndefined();
    const stop = new AbortController();
    const onWait = () => stop.abort();
    const waiting = withLock(root, "a", { signal: stop.signal, onWait }, async () => 1);
    await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
    await killed(other);
    expect(await ifUnlocked(root, "a", async () => 1)).toBe(1);
  });

  it("is not stopped by what older versions left", async () => {
    await mkdir(join(root, "a.lock"));
    expect(await withLock(root, "a", {}, async () => 2)).toBe(2);
  });
});

describe("hold", () => {
  it("keeps a file from being removed, by any number, until the last lets go", async () => {
    const releases = [await hold(file), await hold(file)];
    const remove = () => whileUnused(file, () => rm(file, { force: true }));
    for (const release of releases) {
      expect(isHeld(file)).toBe(true);
      expect(await remove()).toBe(false);
      release?.();
      release?.();
    }
    expect(isHeld(file)).toBe(false);
    expect(await remove()).toBe(true);
    expect(await hold(file)).toBeUndefined();
    expect(await remove()).toBe(true);
  });

  it("is told apart from a hold of a file that was there before", async () => {
    const release = await hold(file);
    await rm(file);
    await writeFile(file, "another");
    expect(isHeld(file)).toBe(false);
    release?.();
  });

  it("ends with its process, also by kill -9, and names it", async () => {
    const other = await holder(file, "LOCK_SH");
    expect(await removeUnusedDirectory(root)).toBe(false);
    expect(usersOf(root)).toEqual([expect.stringContaining(`process ${other.pid} (`)]);
    await killed(other);
    expect(usersOf(root)).toEqual([]);
  });
});

it("removes a directory whole, and only when nobody holds it", async () => {
  const dir = join(root, "compiled");
  await mkdir(dir);
  await writeFile(join(dir, "config.json"), "{}");
  const release = await holdCompiled(dir);
  expect(await removeUnusedDirectory(dir)).toBe(false);
  expect(existsSync(dir)).toBe(true);
  release();
  expect(await removeUnusedDirectory(dir)).toBe(true);
  expect(await readdir(root)).toEqual(["config.json"]);
  await expect(holdCompiled(dir)).rejects.toMatchObject({ code: "EMODEL" });
});

/** A file that is removed or replaced after it was opened and before it is locked. */
import type * as fs from "node:fs";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { hold, ifUnlocked, isHeld, withLock } from "./lock.js";

/** What happens once, just after a file was opened. */
const meanwhile = vi.hoisted(() => ({ once: (): void => {} }));
vi.mock("node:fs", async (original) => {
  const real = await original<typeof fs>();
  const openSync: typeof fs.openSync = (...args) => {
    const file = real.openSync(...args);
    const { once } = meanwhile;
    meanwhile.once = () => {};
    once();
    return file;
  };
  return { ...real, openSync };
});

let root: string;
let path: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "contix-lock-"));
  path = join(root, "config.json");
  writeFileSync(path, "old");
});
afterEach(() => rmSync(root, { recursive: true }));

it("holds the file that took the place of the one it had opened", async () => {
  meanwhile.once = () => {
    writeFileSync(`${path}.new`, "new");
    renameSync(`${path}.new`, path);
  };
  const release = await hold(path);
  expect(isHeld(path)).toBe(true);
  release?.();
  expect(isHeld(path)).toBe(false);
});

it("holds nothing that is gone", async () => {
  meanwhile.once = () => rmSync(path);
  expect(await hold(path)).toBeUndefined();
});

it("locks the file that others find", async () => {
  const lock = join(root, "a.lock");
  meanwhile.once = () => rmSync(lock);
  const inside = await withLock(root, "a", {}, () => ifUnlocked(root, "a", async () => "both"));
  expect(inside).toBeUndefined();
});

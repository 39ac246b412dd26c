/**
 * A directory appears whole or not at all: it is filled under a hidden name,
 * synced, and renamed. What a killed process left behind, the next one removes.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import { writeSums } from "./sums.js";

const PREFIX = ".staging-";
/** Staging of another host, whose processes can not be asked, is stale after this long. */
const FOREIGN_STALE_MS = 24 * 3600 * 1000;

/**
 * Makes the directory `target` by `fill`, which gets the hidden directory to
 * write into; the checksums of its files are added (sums.ts). When two processes make the same target, the first one wins and
 * both return. On any failure nothing is left.
 * @throws ContixError ENOSPC when the disk is full; else what `fill` threw.
 */
export async function stageDirectory(
  target: string,
  fill: (staging: string) => Promise<void>,
  { sums = true }: { readonly sums?: boolean } = {},
): Promise<void> {
  const parent = dirname(target);
  await mkdir(parent, { recursive: true, mode: 0o700 });
  await removeStale(parent);
  const staging = join(parent, stagingName());
  try {
    await mkdir(staging);
    await fill(staging);
    if (sums) await writeSums(staging);
    await syncAll(staging);
    await renameUnlessThere(staging, target);
    await sync(parent);
  } catch (error) {
    throw diskFull(error, parent);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** A full disk (or quota) as ENOSPC that names the place; any other error as it is. */
export function diskFull(error: unknown, where: string): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (error instanceof ContixError || (code !== "ENOSPC" && code !== "EDQUOT")) return error;
  return new ContixError("ENOSPC", `no space left on the disk of ${where}`, { cause: error });
}

/** Removes the staging files and directories of processes that are gone. */
export async function removeStale(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (await isStaleStaging(parent, name)) {
      await rm(join(parent, name), { recursive: true, force: true });
    }
  }
}

/**
 * A new hidden directory in `parent`, for work of which nothing stays. Remove it; when this
 * process is killed before, the next one does.
 */
export async function scratchDirectory(parent: string): Promise<string> {
  const path = join(parent, stagingName());
  await mkdir(path, { recursive: true, mode: 0o700 });
  return path;
}

/** A hidden name that says which process owns it. */
export function stagingName(): string {
  return `${PREFIX}${process.pid}-${randomBytes(4).toString("hex")}-${hostname()}`;
}

/** Whether `name` in `parent` is what a process that is gone was filling. */
export async function isStaleStaging(parent: string, name: string): Promise<boolean> {
  if (!name.startsWith(PREFIX)) return false;
  const [pid = "", , ...host] = name.slice(PREFIX.length).split("-");
  if (host.join("-") === hostname()) return !isAlive(Number(pid));
  const age = await stat(join(parent, name)).catch(() => undefined);
  return age !== undefined && Date.now() - age.mtimeMs > FOREIGN_STALE_MS;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

async function syncAll(directory: string): Promise<void> {
  for (const name of await readdir(directory)) await sync(join(directory, name));
  await sync(directory);
}

async function sync(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function renameUnlessThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  }
}

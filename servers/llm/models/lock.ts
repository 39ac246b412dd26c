/**
 * Locks between processes, by flock(2): the system drops them when their holder
 * ends, however it ends, so a kill -9 leaves nothing locked. A lock belongs to an
 * open file, thus two parts of one process exclude each other as well.
 *
 * Two uses. `withLock`: the same work is not done twice. `hold` and `whileUnused`:
 * what is in use is not removed; the lock is on the used file itself, so it needs no
 * file of its own and no right to write.
 */
import {
  closeSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ContixError } from "../../../proto/errno.js";
import { koffi } from "../native.js";

const SHARED = 1;
const EXCLUSIVE = 2;
const NOT_WAITING = 4;
const RETRY_MS = 50;

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once when another process holds the lock. */
  readonly onWait?: (() => void) | undefined;
}

/** Ends a hold. Calling it again does nothing. */
export type Release = () => void;

/** Runs `work` while no other process runs work of the same `name` in `dir`. */
export async function withLock<T>(
  dir: string,
  name: string,
  options: LockOptions,
  work: () => Promise<T>,
): Promise<T> {
  const path = await lockPath(dir, name);
  for (let tries = 0; ; tries++) {
    options.signal?.throwIfAborted();
    const file = lock(path, "a", EXCLUSIVE);
    if (file !== undefined) return finish(path, file, work);
    if (tries === 0) options.onWait?.();
    await sleep(RETRY_MS);
  }
}

/** Like `withLock`, but does nothing, and returns undefined, when somebody has the lock. */
export async function ifUnlocked<T>(
  dir: string,
  name: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  const path = await lockPath(dir, name);
  const file = lock(path, "a", EXCLUSIVE);
  return file === undefined ? undefined : finish(path, file, work);
}

/**
 * Keeps a file from being removed until it is released; any number may hold it.
 * Undefined when there is no such file.
 */
export async function hold(path: string): Promise<Release | undefined> {
  for (;;) {
    const found = lockIfThere(path, SHARED);
    if (found === "absent") return undefined;
    if (found !== "taken") return releaser(found);
    // Somebody looks whether it is in use, or removes it: neither takes long.
    await sleep(RETRY_MS);
  }
}

/**
 * Runs `work` while nobody holds the file, and nobody can begin to. Returns false,
 * without running it, when it is held. A file that is not there is not held.
 */
export async function whileUnused(path: string, work: () => Promise<void>): Promise<boolean> {
  const found = lockIfThere(path, EXCLUSIVE);
  if (found === "taken") return false;
  try {
    await work();
    return true;
  } finally {
    if (found !== "absent") closeSync(found);
  }
}

/** Whether somebody holds the file. */
export function isHeld(path: string): boolean {
  const found = lockIfThere(path, EXCLUSIVE);
  if (typeof found === "number") closeSync(found);
  return found === "taken";
}

/** Who holds the file, for people: "process 4711 (node …/main.js)". Empty where the system does not say. */
export function holdersOf(path: string): string[] {
  try {
    const { ino } = statSync(path);
    const pids = readFileSync("/proc/locks", "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([, kind, , , , where]) => kind === "FLOCK" && where?.endsWith(`:${ino}`))
      .map(([, , , , pid]) => Number(pid));
    return [...new Set(pids)].filter((pid) => pid > 0).map(nameOf);
  } catch {
    return [];
  }
}

function nameOf(pid: number): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").filter(Boolean);
    return `process ${pid} (${words.slice(0, 3).join(" ").slice(0, 120)})`;
  } catch {
    return `process ${pid}`;
  }
}

/** The file is removed while it is locked: who waits on it finds another one there and starts over. */
async function finish<T>(path: string, file: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
    closeSync(file);
  }
}

async function lockPath(dir: string, name: string): Promise<string> {
  const path = join(dir, `${name}.lock`);
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    // Locks were directories once.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) rmEmpty(path);
  } catch (error) {
    throw readOnly(error, path);
  }
  return path;
}

function rmEmpty(path: string): void {
  if (readdirSync(path).length === 0) rmSync(path, { recursive: true, force: true });
}

function lockIfThere(path: string, mode: number): number | "taken" | "absent" {
  try {
    return lock(path, "r", mode) ?? "taken";
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "absent";
    throw error;
  }
}

/** The locked file's descriptor: a number, since nothing closes it when it is forgotten. */
function lock(path: string, flags: "a" | "r", mode: number): number | undefined {
  for (;;) {
    const file = opened(path, flags);
    if (flock(file, mode | NOT_WAITING) !== 0) {
      const errno = koffi.errno();
      closeSync(file);
      if (errno === koffi.os.errno.EAGAIN) return undefined;
      throw new ContixError("EIO", `${path} can not be locked: errno ${errno}`);
    }
    // Between opening and locking it may have been removed, or replaced by another one.
    if (statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(file).ino) return file;
    closeSync(file);
  }
}

function opened(path: string, flags: "a" | "r"): number {
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    throw readOnly(error, path);
  }
}

function releaser(file: number): Release {
  let open = true;
  return () => {
    if (open) closeSync(file);
    open = false;
  };
}

function readOnly(error: unknown, path: string): unknown {
  const code = codeOf(error);
  if (code !== "EACCES" && code !== "EROFS" && code !== "EPERM") return error;
  return new ContixError("EPERM", `${path} can not be opened`, { cause: error });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

let native: ((file: number, operation: number) => number) | undefined;

function flock(file: number, operation: number): number {
  native ??= koffi.load(null).func("int flock(int file, int operation)");
  return native(file, operation);
}

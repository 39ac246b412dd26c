/**
 * Locks between processes, so that the same work is not done twice. They are no
 * safety net: what is written appears by an atomic rename in any case, so a lock
 * that was lost (its process slept too long) costs work and nothing else.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import lockfile from "proper-lockfile";
import { ContixError } from "../../../proto/errno.js";

const STALE_MS = 10_000;
const RETRY_MS = 250;

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once when another process holds the lock. */
  readonly onWait?: (() => void) | undefined;
}

/** Runs `work` while no other process runs work of the same `name` in `dir`. */
export async function withLock<T>(
  dir: string,
  name: string,
  options: LockOptions,
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const release = await acquire(join(dir, name), options);
  try {
    return await work();
  } finally {
    // Fails only when the lock was lost to another process, which then owns it.
    await release().catch(() => {});
  }
}

async function acquire(path: string, options: LockOptions): Promise<() => Promise<void>> {
  for (let tries = 0; ; tries++) {
    options.signal?.throwIfAborted();
    try {
      const lockfilePath = `${path}.lock`;
      const settings = { realpath: false, stale: STALE_MS, lockfilePath, onCompromised: () => {} };
      return await lockfile.lock(path, settings);
    } catch (error) {
      if (!isHeld(error)) throw readOnly(error, path);
      if (tries === 0) options.onWait?.();
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

function isHeld(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ELOCKED";
}

function readOnly(error: unknown, path: string): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code !== "EACCES" && code !== "EROFS" && code !== "EPERM") return error;
  return new ContixError("EPERM", `${path} can not be written`, { cause: error });
}

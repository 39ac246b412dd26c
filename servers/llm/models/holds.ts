/**
 * What is in use is not removed: a driver holds the compiled model it has loaded,
 * an import the file it works on. The system ends the hold of a process that dies.
 */
import { rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import { COMPILED_FILES } from "./compiled.js";
import { hold, holdersOf, isHeld, type Release, whileUnused } from "./lock.js";
import { stagingName } from "./staging.js";

/**
 * Holds a compiled model (or an ONNX export), whose files are then not removed until
 * the result is called. Take it before the files are opened, and keep it as long as
 * they are mapped.
 * @throws ContixError EMODEL when the directory is gone.
 */
export async function holdCompiled(dir: string): Promise<Release> {
  const release = await hold(keyOf(dir));
  if (release) return release;
  throw new ContixError("EMODEL", `${dir} is no compiled model, or was just removed`);
}

/** Who uses the directory, for people; empty when nobody does. */
export function usersOf(dir: string): string[] {
  const key = keyOf(dir);
  if (!isHeld(key)) return [];
  const named = holdersOf(key);
  return named.length > 0 ? named : ["another process"];
}

/** Removes the directory, at once and whole, unless somebody holds it; whether it did. */
export async function removeUnusedDirectory(dir: string): Promise<boolean> {
  return whileUnused(keyOf(dir), async () => {
    // Out of sight first, so that nobody meets a half of it.
    const hidden = join(dirname(dir), stagingName());
    await rename(dir, hidden);
    await rm(hidden, { recursive: true, force: true });
  });
}

/** Removes the file unless somebody holds it; whether it did. */
export async function removeUnusedFile(path: string): Promise<boolean> {
  return whileUnused(path, () => rm(path, { force: true }));
}

/** The file that stands for a directory: the one that every kind of model has. */
function keyOf(dir: string): string {
  return join(dir, COMPILED_FILES.config);
}

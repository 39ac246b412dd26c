/** How a version gets its name: compiled first, or looked into, so that what has a name can be used. */
import { readAnyCompiled } from "./compiled.js";
import { type CompileJob, compiledPlace, compileVersion, inspectGguf } from "./library-compile.js";
import type { Taken } from "./library-import.js";
import type { Shelf } from "./library-shelf.js";
import { withLock } from "./lock.js";
import type { ModelVersion } from "./manifest.js";
import type { CompileModelOptions } from "./options.js";

/** What a version turns out to be. */
type Facts = Pick<ModelVersion, "arch" | "license">;

/** Gives a version its name, after `prepare`; when that fails, nothing of it stays. */
export async function addVersion(
  shelf: Shelf,
  name: string,
  { version, held }: Taken,
  prepare: (version: ModelVersion) => Promise<ModelVersion>,
): Promise<void> {
  const release = () => {
    for (const blob of held) blob.release();
  };
  try {
    await shelf.publish(name, await prepare(version));
    release();
  } catch (error) {
    release();
    await shelf.exclusively(() => shelf.dropUnnamed(version));
    throw error;
  }
}

/**
 * The compiled form of a version, made when it is not there, by one process at a time.
 * @throws ContixError ENOSPC, or EMODEL that says why it can not be compiled.
 */
export async function compileOn(
  shelf: Shelf,
  name: string,
  version: ModelVersion,
  path: string,
  options: CompileModelOptions,
): Promise<string> {
  const { paths, freeBytes } = shelf;
  const job: CompileJob = {
    name,
    version,
    path,
    choice: options,
    parent: paths.compiled,
    freeBytes,
  };
  const there = await compiledPlace(job);
  if (there) return there;
  const onWait = () => options.onNote?.("another process compiles this model; waiting for it");
  const lock = `compile-${version.digest}`;
  return withLock(paths.locks, lock, { signal: options.signal, onWait }, () =>
    compileVersion(job, options),
  );
}

/** Compiles a version that has no name yet, and fills in what it turns out to be. */
export async function tryOut(
  shelf: Shelf,
  name: string,
  version: ModelVersion,
  options: CompileModelOptions,
): Promise<ModelVersion> {
  const path = await shelf.pathOf(version);
  const { arch, license } = await readAnyCompiled(
    await compileOn(shelf, name, version, path, options),
  );
  return { ...version, arch, license: known(version.license, license) };
}

/** What the head of a GGUF file says. */
export async function inspected(shelf: Shelf, version: ModelVersion): Promise<Facts> {
  const { arch, license } = await inspectGguf(await shelf.pathOf(version));
  return { arch, license: known(version.license, license) };
}

/** What the place it came from says of the licence, else what the files say. */
function known(license: string, other: string | undefined): string {
  return license === "unknown" ? (other ?? license) : license;
}

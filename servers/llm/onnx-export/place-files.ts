/** Brings files into a directory that is being made, and says which content they have. */
import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { copyFile, link, mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import { COMPILED_FILES } from "../models/compiled.js";
import type { ExportFile } from "./inspect.js";

/** Files that are written beside those that are brought. */
const RESERVED = [COMPILED_FILES.config, COMPILED_FILES.tokenizer];

export interface PlaceOptions {
  /** Bytes hashed and copied, and in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type Progress = (bytes: number) => void;

/** Every byte is read twice: for its digest, and to be copied. */
export async function progressOver(
  files: readonly ExportFile[],
  { onProgress, signal }: PlaceOptions,
): Promise<Progress> {
  const sizes = await Promise.all(files.map(async ({ path }) => (await stat(path)).size));
  const total = 2 * sizes.reduce((sum, size) => sum + size, 0);
  let done = 0;
  return (bytes) => {
    signal?.throwIfAborted();
    done += bytes;
    onProgress?.(Math.min(done, total), total);
  };
}

/** sha256 of every file, hex, by its name. */
export async function digestsOf(
  files: readonly ExportFile[],
  progress: Progress,
): Promise<ReadonlyMap<string, string>> {
  const digests = new Map<string, string>();
  for (const file of files) digests.set(file.name, await digestOf(file.path, progress));
  return digests;
}

async function digestOf(path: string, progress: Progress): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(bytes);
    progress(bytes.length);
  }
  return hash.digest("hex");
}

/**
 * Links a file that never changes (its digest is not asked for). Any other is copied (the
 * blocks are shared where the file system can), and the copy is read.
 */
export async function place(
  file: ExportFile,
  staging: string,
  digest: string | undefined,
  progress: Progress,
): Promise<void> {
  if (RESERVED.some((name) => name === file.name)) {
    throw new ContixError("EMODEL", `the export keeps weights in ${file.name}, of all names`);
  }
  const target = join(staging, file.name);
  await mkdir(dirname(target), { recursive: true });
  const linked =
    digest === undefined &&
    (await link(file.path, target).then(
      () => true,
      () => false,
    ));
  if (linked) return;
  await copyFile(file.path, target, constants.COPYFILE_FICLONE);
  if (digest === undefined || (await digestOf(target, progress)) === digest) return;
  throw new ContixError("EMODEL", `${file.name} changed while it was read: import it again`);
}

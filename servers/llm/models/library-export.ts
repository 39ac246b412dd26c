/** Copies a model out of the library: checked on the way, and never over what is there. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { link, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import type { Shelf } from "./library-shelf.js";
import { hold } from "./lock.js";
import type { ModelFile, ModelVersion } from "./manifest.js";
import type { WorkOptions } from "./options.js";
import { needSpace } from "./space.js";
import { diskFull, stagingName } from "./staging.js";

export interface ExportOptions extends WorkOptions {
  /** Overwrites. */
  readonly force?: boolean | undefined;
}

/**
 * Copies a version to `target`: a GGUF file to a file (in a directory that is there, as
 * `<name>.gguf`), an export to a directory. Returns the path.
 * @throws ContixError EEXIST when something is there; EIO when the library's file is
 * damaged; ENOSPC.
 */
export async function exportVersion(
  shelf: Shelf,
  name: string,
  version: ModelVersion,
  target: string,
  options: ExportOptions = {},
): Promise<string> {
  const there = await stat(target).catch(() => undefined);
  const [only] = version.files;
  if (version.kind === "gguf" && only) {
    const path = resolve(there?.isDirectory() ? join(target, `${name}.gguf`) : target);
    await copyAll(shelf, version, [{ file: only, path }], options);
    return path;
  }
  const dir = resolve(target);
  if (there && !there.isDirectory()) throw exists(dir);
  if (there && !options.force && (await readdir(dir)).length > 0) throw exists(dir);
  const copies = version.files.map((file) => ({ file, path: join(dir, file.path) }));
  await copyAll(shelf, version, copies, options);
  return dir;
}

interface Copy {
  readonly file: ModelFile;
  readonly path: string;
}

async function copyAll(
  shelf: Shelf,
  version: ModelVersion,
  copies: readonly Copy[],
  options: ExportOptions,
): Promise<void> {
  const first = copies[0]?.path ?? "";
  if (!options.force) await refuseExisting(copies);
  await needSpace(dirname(first), version.size, "the copy", shelf.freeBytes);
  let before = 0;
  for (const { file, path } of copies) {
    const onBytes = (bytes: number) =>
      options.onProgress?.({ phase: "copy", done: before + bytes, total: version.size });
    await copyOne(shelf, file, path, options, onBytes);
    before += file.size;
  }
}

async function refuseExisting(copies: readonly Copy[]): Promise<void> {
  for (const { path } of copies) {
    if (await stat(path).catch(() => undefined)) throw exists(path);
  }
}

/** Under another name first: what has the name is whole. */
async function copyOne(
  shelf: Shelf,
  file: ModelFile,
  path: string,
  { force, signal }: ExportOptions,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const from = shelf.blobs.path(file);
  const release = await hold(from);
  const parent = dirname(path);
  const staging = join(parent, stagingName());
  try {
    await mkdir(parent, { recursive: true });
    const digest = await copyHashed(from, staging, onBytes, signal);
    if (digest !== file.digest) {
      const how = "see `contix model verify`";
      throw new ContixError("EIO", `${from} is damaged, its sha256 is ${digest}: ${how}`);
    }
    if (force) await rename(staging, path);
    else await linkNew(staging, path);
  } catch (error) {
    throw diskFull(error, parent);
  } finally {
    release?.();
    await rm(staging, { force: true });
  }
}

/** A link fails where a rename overwrites: something may have come meanwhile. */
async function linkNew(staging: string, path: string): Promise<void> {
  await link(staging, path).catch(async (error) => {
    if (error.code === "EEXIST") throw exists(path);
    // A disk without links.
    if (await stat(path).catch(() => undefined)) throw exists(path);
    await rename(staging, path);
  });
}

async function copyHashed(
  from: string,
  to: string,
  onBytes: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<string> {
  const hash = createHash("sha256");
  const out = await open(to, "wx", 0o644);
  let done = 0;
  try {
    const options = { highWaterMark: 1 << 20, ...(signal && { signal }) };
    for await (const chunk of createReadStream(from, options)) {
      hash.update(chunk);
      await out.writeFile(chunk);
      done += chunk.length;
      onBytes(done);
    }
    await out.sync();
  } finally {
    await out.close();
  }
  return hash.digest("hex");
}

function exists(path: string): ContixError {
  return new ContixError("EEXIST", `${path} is there already: choose another place, or --force`);
}

/** Takes a GGUF file, or the directory of an ONNX export, from the disk into the blobs. */
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join, relative, resolve, sep } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import type { HeldBlob } from "./blobs.js";
import { inspectGguf } from "./library-compile.js";
import type { Shelf } from "./library-shelf.js";
import { digestOfFiles, type ModelFile, type ModelVersion } from "./manifest.js";
import type { WorkOptions } from "./options.js";
import { chooseFiles, type RepoFile } from "./pull-choose.js";
import { needSpace } from "./space.js";

/** A version whose files are blobs; release them when its manifest is written. */
export interface Taken {
  readonly version: ModelVersion;
  readonly held: readonly HeldBlob[];
}

/** Deeper in a directory nothing of an export lies. */
const DEPTH = 2;

/**
 * @throws ContixError ENOENT; EMODEL or EINVAL when it is no model that can be read;
 * ENOSPC, before anything is copied when that can be told.
 */
export async function takeIn(shelf: Shelf, path: string, options: WorkOptions): Promise<Taken> {
  const found = await stat(path).catch(() => undefined);
  const addedAt = new Date().toISOString();
  if (found?.isDirectory()) {
    const { kind, main, files } = chooseFiles(await filesIn(path), undefined, path);
    if (kind === "gguf") return takeIn(shelf, join(path, main), options);
    const taken = await copyAll(shelf, path, files, options);
    const version: ModelVersion = {
      digest: digestOfFiles(taken.files, main),
      size: files.reduce((sum, { size }) => sum + size, 0),
      kind,
      main,
      files: taken.files,
      license: "unknown",
      source: `file ${basename(resolve(path))}`,
      arch: "onnx",
      addedAt,
    };
    return { version, held: taken.held };
  }
  const { arch, license = "unknown" } = await inspectGguf(path);
  const name = basename(path);
  const { files, held } = await copyAll(
    shelf,
    resolve(path, ".."),
    [{ path: name, size: found?.size ?? 0 }],
    options,
  );
  const { digest = "", size = 0 } = files[0] ?? {};
  const facts = { license, source: `file ${name}`, arch, addedAt };
  return { version: { digest, size, kind: "gguf", main: name, files, ...facts }, held };
}

async function copyAll(
  shelf: Shelf,
  from: string,
  files: readonly RepoFile[],
  { onProgress, signal }: WorkOptions,
): Promise<{ files: ModelFile[]; held: HeldBlob[] }> {
  const total = files.reduce((sum, { size }) => sum + size, 0);
  await needSpace(shelf.paths.blobs, total, "the copy", shelf.freeBytes);
  const copied: ModelFile[] = [];
  const held: HeldBlob[] = [];
  let before = 0;
  try {
    for (const { path } of files) {
      const source = createReadStream(join(from, path), { highWaterMark: 1 << 20 });
      const blob = await shelf.blobs.add(source, path, {
        signal,
        onBytes: (done) => onProgress?.({ phase: "copy", done: before + done, total }),
      });
      held.push(blob);
      copied.push({ path, digest: blob.digest, size: blob.size });
      before += blob.size;
    }
  } catch (error) {
    for (const { release } of held) release();
    for (const file of copied) await shelf.exclusively(() => shelf.dropUnneeded([file]));
    throw error;
  }
  return { files: copied, held };
}

/** The files of a directory by their paths in it; links are followed, as in a hub's cache. */
async function filesIn(dir: string, depth = DEPTH, top = dir): Promise<RepoFile[]> {
  const found: RepoFile[] = [];
  const names = await readdir(dir).catch((cause) => {
    throw new ContixError("ENOENT", `${dir} can not be read`, { argument: "file", cause });
  });
  for (const name of names.sort()) {
    const path = join(dir, name);
    const entry = await stat(path).catch(() => undefined);
    if (entry?.isDirectory() && depth > 1) found.push(...(await filesIn(path, depth - 1, top)));
    else if (entry?.isFile()) {
      found.push({ path: relative(top, path).split(sep).join("/"), size: entry.size });
    }
  }
  return found;
}

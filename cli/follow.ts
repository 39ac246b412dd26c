/** Reads a file that grows, as `tail -f` does. */
import { type FileHandle, open } from "node:fs/promises";
import { pause } from "./terminal.js";

const POLL_MS = 100;
const CHUNK_BYTES = 64 * 1024;

export interface FollowOptions {
  /** Aborted when nothing more will be written: what is there is still read to its end. */
  readonly done: AbortSignal;
}

/**
 * Yields a file's bytes from its beginning, then what is appended. A file that does not exist yet
 * is waited for; one that was cut is read again from its start. Polls, because file events are
 * lost on some file systems.
 */
export async function* follow(path: string, options: FollowOptions): AsyncGenerator<Buffer> {
  let position = 0;
  for (;;) {
    // Asked before reading, so that the last read sees what was written before the end.
    const last = options.done.aborted;
    const file = await openIfThere(path);
    if (file !== undefined) {
      try {
        if ((await file.stat()).size < position) position = 0;
        for await (const chunk of readFrom(file, position)) {
          position += chunk.length;
          yield chunk;
        }
      } finally {
        await file.close();
      }
    }
    if (last) return;
    await pause(POLL_MS, options.done);
  }
}

async function* readFrom(file: FileHandle, start: number): AsyncGenerator<Buffer> {
  let position = start;
  for (;;) {
    const { bytesRead, buffer } = await file.read(
      Buffer.alloc(CHUNK_BYTES),
      0,
      CHUNK_BYTES,
      position,
    );
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

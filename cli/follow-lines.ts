/** Reads the whole lines of a file that grows, however long they are. */
import { type FileHandle, open } from "node:fs/promises";

const CHUNK_BYTES = 64 * 1024;

export interface Lines {
  readonly lines: readonly string[];
  /** Behind the last of them, bytes. */
  readonly position: number;
}

/**
 * The next whole lines of a file behind a position: a chunk's, or one that is longer than a
 * chunk. None when the last line is still being written, or when there is no file.
 */
export async function linesFrom(path: string, position: number): Promise<Lines> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { lines: [], position };
    throw error;
  }
  try {
    const chunks: Buffer[] = [];
    for (let at = position; ; ) {
      const buffer = Buffer.alloc(CHUNK_BYTES);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return { lines: [], position };
      const end = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1;
      if (end === 0) {
        at += bytesRead;
        chunks.push(buffer.subarray(0, bytesRead));
        continue;
      }
      const text = Buffer.concat([...chunks, buffer.subarray(0, end)]).toString("utf8");
      return { lines: text.split("\n").slice(0, -1), position: at + end };
    }
  } finally {
    await file.close();
  }
}

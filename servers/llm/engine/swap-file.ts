/**
 * The swap file: pages that outlive the driver, in one file of a fixed size.
 *
 * The kernel knows what is in it; a file that is there with the right size is kept as it
 * is, so a driver that takes over from a dead one finds its pages. Nothing in it is
 * believed: a page that comes back must have the name that is asked for and the checksum
 * of its bytes (swap-block.ts), or it is a bad page. It needs no order and no sync, since
 * it is a cache: after a crash of the machine the kernel begins a new one.
 *
 * A write is collected into a buffer at once and goes to the disk later, one at a time; of
 * such buffers there are few, and when all are taken the write is refused as "busy". A
 * read goes through a buffer too: checked in one piece it takes less time than read and
 * checked in the hundred pieces that a page is in its slot, and no bad page gets there.
 * Both use threads of the pool on which the model's runs wait their turn too, so that a
 * slow disk may never have all of them.
 *
 * Reads of blocks that lie one behind the other are one read of the file, as many as the
 * buffer has room for: a context's pages were written in order. While one buffer is checked
 * and taken, the other is being read.
 */

import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ContixError, type Errno } from "../../../proto/errno.js";
import { BlockReads, words } from "./block-reads.js";
import { Lane } from "./lane.js";
import type { Fill } from "./pages.js";
import { preallocate } from "./preallocate.js";
import { BUSY, type Swap } from "./swap.js";
import { BlockFormat } from "./swap-block.js";

/** Of the pool's four threads one is the model's, and two are for reads. */
const WRITERS = 1;

/** Writes that may wait for the disk, bytes; and at least so many pages. */
const STAGING_BYTES = 32 * 2 ** 20;
const LEAST_STAGED = 4;

export class SwapFile implements Swap {
  readonly blocks: number;
  readonly #file: FileHandle;
  readonly #format: BlockFormat;
  readonly #writers = new Lane(WRITERS);
  /** Buffers of blocks: those that no write has, and how many may still be made. */
  readonly #free: Buffer[] = [];
  #unmade: number;
  readonly #reads: BlockReads;

  private constructor(file: FileHandle, format: BlockFormat, blocks: number, staging?: Uint8Array) {
    this.blocks = blocks;
    this.#file = file;
    this.#format = format;
    this.#reads = new BlockReads(file, format, staging);
    this.#unmade = Math.max(LEAST_STAGED, Math.floor(STAGING_BYTES / format.length));
  }

  /**
   * Opens the file at `path`, or makes it, with `size` bytes at most. Reads go through
   * `staging`, or memory of its own.
   * @throws ContixError ENOSPC, EACCES, EINVAL, EIO: there is no such file then
   */
  static async open(
    path: string,
    size: number,
    pageBytes: number,
    staging?: Uint8Array,
  ): Promise<SwapFile> {
    const format = new BlockFormat(pageBytes);
    const blocks = Math.floor(size / format.stride);
    if (blocks === 0) {
      const page = `a page takes ${format.stride} bytes`;
      throw new ContixError("EINVAL", `a swap file of ${size} bytes holds no page: ${page}`);
    }
    try {
      // Where it can not be made and is not there, opening says so.
      await mkdir(dirname(path), { mode: 0o700 }).catch(() => {});
      const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
      await prepare(file, path, blocks * format.stride);
      return new SwapFile(file, format, blocks, staging);
    } catch (error) {
      throw new ContixError(errnoOf(error), `the swap file ${path}: ${words(error)}`, {
        cause: error,
      });
    }
  }

  write(block: number, name: Uint8Array, page: readonly Uint8Array[]): Promise<string> {
    const buffer = this.#takeBuffer();
    if (buffer === undefined) return Promise.resolve(BUSY);
    this.#format.seal(name, page, buffer);
    return this.#writers.run(async () => {
      try {
        await writeAll(this.#file, buffer, block * this.#format.stride);
        return "";
      } catch (error) {
        return words(error);
      } finally {
        this.#free.push(buffer);
      }
    });
  }

  read(block: number, name: Uint8Array, fill: Fill): Promise<string> {
    return this.#reads.read(block, name, fill);
  }

  async close(): Promise<void> {
    await this.#reads.idle();
    await this.#writers.idle();
    await this.#file.close();
  }

  #takeBuffer(): Buffer | undefined {
    const free = this.#free.pop();
    if (free !== undefined || this.#unmade === 0) return free;
    this.#unmade -= 1;
    return Buffer.allocUnsafeSlow(this.#format.length);
  }
}

/** Gives the file its size, unless it has it; what can not have it is removed. */
async function prepare(file: FileHandle, path: string, length: number): Promise<void> {
  const found = await file.stat();
  try {
    if (!found.isFile()) throw new ContixError("EINVAL", "it is no file");
    // Of another size: made for other pages.
    if (found.size !== length) await file.truncate(0);
    await preallocate(file, length);
  } catch (error) {
    await file.close();
    if (found.isFile()) await rm(path, { force: true });
    throw error;
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}

/** What the system's errors are for whoever wanted the file. */
const CODES: Readonly<Record<string, Errno>> = {
  ENOSPC: "ENOSPC",
  EDQUOT: "ENOSPC",
  EFBIG: "ENOSPC",
  EACCES: "EACCES",
  EPERM: "EACCES",
  EROFS: "EACCES",
  EINVAL: "EINVAL",
  EISDIR: "EINVAL",
  ENOTDIR: "EINVAL",
};

function errnoOf(error: unknown): Errno {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return CODES[code] ?? "EIO";
}

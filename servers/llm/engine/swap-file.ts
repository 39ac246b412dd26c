/**
 * The swap file: pages that outlive the driver, in one file of a fixed size.
 *
 * The kernel knows what is in it; a file that is there with the right size is kept as it
 * is, so a driver that takes over from a dead one finds its pages. Nothing in it is
 * believed: a page that comes back must have the name that is asked for and the checksum
 * of its bytes (swap-block.ts), or it is a bad page. It needs no order and no sync, since
 * it is a cache: after a crash of the machine the kernel begins a new one.
 *
 * Its threads do the work: one writes, the others read, check and put pages into their
 * slots, so that neither holds up the event loop, nor a slow disk the reads or the model's
 * runs. A write is collected into a buffer at once; of such buffers there are few, and when
 * all are taken the write is refused as "busy".
 */

import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ContixError, type Errno } from "../../../proto/errno.js";
import { workerFile } from "../worker-file.js";
import { BlockReads } from "./block-reads.js";
import type { PageMemory, Place } from "./page-memory.js";
import type { Pages } from "./pages.js";
import { preallocate } from "./preallocate.js";
import { BUSY, type Swap } from "./swap.js";
import { BlockFormat } from "./swap-block.js";
import type { SwapWorkerData } from "./swap-protocol.js";
import { SwapThread } from "./swap-thread.js";

const READERS = 2;

/** Writes that may wait for the disk, bytes; and at least so many pages. */
const STAGING_BYTES = 32 * 2 ** 20;
const LEAST_STAGED = 4;

/** JavaScript heap of a thread: pages are outside of it, and messages are small. */
const HEAP = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 };

export class SwapFile implements Swap {
  readonly blocks: number;
  readonly #file: FileHandle;
  readonly #format: BlockFormat;
  readonly #memory: PageMemory;
  /** Blocks that wait to be written; what was never used takes no memory. */
  readonly #staging: SharedArrayBuffer;
  /** Those that no write has. */
  readonly #free: number[];
  readonly #writer: SwapThread;
  readonly #readers: readonly SwapThread[];
  readonly #reads: BlockReads;
  readonly #underWay = new Set<Promise<string>>();

  private constructor(file: FileHandle, format: BlockFormat, blocks: number, pages: SwapPages) {
    this.blocks = blocks;
    this.#file = file;
    this.#format = format;
    this.#memory = pages.memory;
    const staged = Math.max(LEAST_STAGED, Math.floor(STAGING_BYTES / format.length));
    this.#staging = new SharedArrayBuffer(staged * format.length);
    this.#free = Array.from({ length: staged }, (_, i) => staged - 1 - i);
    const thread = () => this.#thread(file.fd, pages);
    this.#writer = thread();
    this.#readers = Array.from({ length: READERS }, thread);
    this.#reads = new BlockReads(this.#readers, pages.bytes);
  }

  /**
   * Opens the file at `path`, or makes it, with `size` bytes at most, for `pages`.
   * @throws ContixError ENOSPC, EACCES, EINVAL, EIO: there is no such file then
   */
  static async open(path: string, size: number, pages: SwapPages): Promise<SwapFile> {
    const format = new BlockFormat(pages.bytes);
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
      return new SwapFile(file, format, blocks, pages);
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      throw new ContixError(errnoOf(error), `the swap file ${path}: ${words}`, { cause: error });
    }
  }

  write(block: number, name: Uint8Array, page: readonly Uint8Array[]): Promise<string> {
    const at = this.#free.pop();
    if (at === undefined) return Promise.resolve(BUSY);
    const { length } = this.#format;
    this.#format.gather(page, new Uint8Array(this.#staging, at * length, length));
    return this.#watch(this.#write(block, name, at));
  }

  read(block: number, name: Uint8Array, place: Place): Promise<string> {
    if (place.memory !== this.#memory) throw new RangeError("a place in other memory");
    return this.#watch(this.#reads.read(block, name, place));
  }

  async close(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    await Promise.all([this.#writer, ...this.#readers].map((thread) => thread.close()));
    await this.#file.close();
  }

  async #write(block: number, name: Uint8Array, at: number): Promise<string> {
    const names = Uint8Array.from(name);
    const [error = ""] = await this.#writer.ask({ kind: "write", moves: [{ block, at }], names });
    this.#free.push(at);
    return error;
  }

  #watch(work: Promise<string>): Promise<string> {
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
    return work;
  }

  #thread(file: number, { bytes, memory }: SwapPages): SwapThread {
    const workerData: SwapWorkerData = { file, pageBytes: bytes, memory, staging: this.#staging };
    const options = { workerData, name: "swap", resourceLimits: HEAP };
    return new SwapThread(() => workerFile(import.meta.url, "swap-worker", options));
  }
}

/** What is to be known of a model's pages. */
export type SwapPages = Pick<Pages, "bytes" | "memory">;

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

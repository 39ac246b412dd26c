/**
 * Reads of blocks, as few as they can be: what lies one behind the other, and is asked for
 * one after the other before a reader is free, is read at once. Each page is checked by
 * itself; one that is bad says nothing of its neighbours.
 */
import type { FileHandle } from "node:fs/promises";
import type { Fill } from "./pages.js";
import { BAD_PAGE, READERS } from "./swap.js";
import type { BlockFormat } from "./swap-block.js";

interface Wanted {
  readonly block: number;
  readonly name: Uint8Array;
  readonly fill: Fill;
  readonly done: (error: string) => void;
}

export class BlockReads {
  readonly #file: FileHandle;
  readonly #format: BlockFormat;
  /** Buffers that no reader has. */
  readonly #free: Buffer[];
  #waiting: Wanted[] = [];
  #running = 0;
  #idle: (() => void)[] = [];

  /** Reads go through `staging` where that has room for a block each. */
  constructor(file: FileHandle, format: BlockFormat, staging?: Uint8Array) {
    this.#file = file;
    this.#format = format;
    this.#free = Array.from({ length: READERS }, (_, i) => share(format, staging, i));
  }

  /** @returns as Swap.read does */
  read(block: number, name: Uint8Array, fill: Fill): Promise<string> {
    return new Promise((done) => {
      this.#waiting.push({ block, name, fill, done });
      // Not at once: what comes in the same turn may lie behind it.
      if (this.#waiting.length === 1) queueMicrotask(() => this.#next());
    });
  }

  /** Resolves when nothing is read and nothing waits. */
  async idle(): Promise<void> {
    if (this.#running === 0 && this.#waiting.length === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve);
    });
  }

  #next(): void {
    while (this.#waiting.length > 0) {
      const buffer = this.#free.pop();
      if (!buffer) return;
      this.#running += 1;
      void this.#run(this.#take(buffer), buffer);
    }
    if (this.#running > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Of those that wait, the first and what lies right behind it, as far as the buffer goes. */
  #take(buffer: Buffer): Wanted[] {
    const most = Math.max(1, Math.floor(buffer.length / this.#format.stride));
    const first = this.#waiting[0]?.block ?? 0;
    let count = 1;
    while (count < most && this.#waiting[count]?.block === first + count) count++;
    return this.#waiting.splice(0, count);
  }

  async #run(run: readonly Wanted[], buffer: Buffer): Promise<void> {
    await this.#read(run, buffer);
    this.#running -= 1;
    this.#free.push(buffer);
    this.#next();
  }

  async #read(run: readonly Wanted[], buffer: Buffer): Promise<void> {
    const { stride, length } = this.#format;
    try {
      const start = (run[0]?.block ?? 0) * stride;
      const wanted = buffer.subarray(0, (run.length - 1) * stride + length);
      const read = await readAll(this.#file, wanted, start);
      for (const [i, { name, fill, done }] of run.entries()) {
        const block = buffer.subarray(i * stride, i * stride + length);
        const right = i * stride + length <= read && this.#format.holds(name, block);
        if (right) fill(this.#format.page(block));
        done(right ? "" : BAD_PAGE);
      }
    } catch (error) {
      if (run.length === 1) for (const { done } of run) done(words(error));
      // One bad spot of the disk is not the neighbours' fault.
      else for (const one of run) await this.#read([one], buffer);
    }
  }
}

/** The part of one reader. */
function share(format: BlockFormat, staging: Uint8Array | undefined, reader: number): Buffer {
  const length = Math.floor((staging?.length ?? 0) / READERS);
  if (!staging || length < format.length) return Buffer.allocUnsafeSlow(format.length);
  return Buffer.from(staging.buffer, staging.byteOffset + reader * length, length);
}

/** @returns how many bytes there were: fewer where the file ends before */
async function readAll(file: FileHandle, bytes: Buffer, position: number): Promise<number> {
  let at = 0;
  while (at < bytes.length) {
    const { bytesRead } = await file.read(bytes, at, bytes.length - at, position + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return at;
}

/** What went wrong, in the system's words. */
export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

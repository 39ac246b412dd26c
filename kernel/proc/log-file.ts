/**
 * The log of one agent: what its program writes, and what it says by sys.log. It is bounded:
 * beyond its size the file becomes `.1` in place of the former one, and a new one begins.
 *
 * A program's output comes through a pipe and is written before more is read, so a program
 * that writes faster than the disk waits in its own write. One that floods is slowed to
 * what a reader who follows the file can keep up with; nobody else pays for it.
 */
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import type { Clock } from "../clock.js";

/** Bytes a second of a program's output, and what may come at once. */
const RATE = 16 << 20;
const BURST = 4 << 20;

export class LogFile {
  readonly path: string;
  readonly #most: number;
  readonly #clock: Clock;
  #file: FileHandle | undefined;
  #size = 0;
  /** Of the former file. */
  #formerSize = 0;
  #last: Promise<unknown> = Promise.resolve();
  /** Bytes that could not be written. */
  #lost = 0;
  /** When all that was taken is paid for at RATE. */
  #paidAt = 0;
  #hurry = false;

  /** `most`: bytes of the file before it is rotated. */
  constructor(path: string, most: number, clock: Clock) {
    this.path = path;
    this.#most = most;
    this.#clock = clock;
  }

  /**
   * Makes the file, empty. What was there is another process's: pids begin anew with a daemon
   * that forgot them.
   */
  async begin(): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    await removeLog(this.path);
    this.#file = await this.#open();
  }

  /** Writes whole pieces, in the order of the calls. Rejects when the disk does. */
  append(bytes: Uint8Array): Promise<void> {
    const written = this.#last.then(() => this.#put(bytes));
    this.#last = written.catch(() => undefined);
    return written;
  }

  /** Copies a program's output until its end. What can not be written is counted, and told later. */
  async take(output: Readable): Promise<void> {
    try {
      for await (const chunk of output as AsyncIterable<Buffer>) {
        await this.append(chunk).catch(() => {
          this.#lost += chunk.length;
        });
        await this.#pace(chunk.length);
      }
    } catch {
      // Its end was closed from here: nobody waits for more.
    }
  }

  /** From now on output is taken as fast as it comes: its program has ended. */
  hurry(): void {
    this.#hurry = true;
  }

  /** Bytes on the disk. */
  get bytes(): number {
    return this.#size + this.#formerSize;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #put(bytes: Uint8Array): Promise<void> {
    if (this.#size > 0 && this.#size + bytes.length > this.#most) await this.#rotate();
    this.#file ??= await this.#open();
    if (this.#lost > 0) {
      const note = Buffer.from(`contix: ${this.#lost} bytes of output could not be written\n`);
      await this.#write(note);
      this.#lost = 0;
    }
    await this.#write(bytes);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.#file?.appendFile(bytes);
    this.#size += bytes.length;
  }

  async #open(): Promise<FileHandle> {
    const file = await open(this.path, "a", 0o600);
    this.#size = (await file.stat()).size;
    return file;
  }

  async #rotate(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    this.#formerSize = this.#size;
    this.#size = 0;
    await rename(this.path, former(this.path));
  }

  async #pace(bytes: number): Promise<void> {
    const now = this.#clock.now();
    this.#paidAt = Math.max(now, this.#paidAt) + (bytes / RATE) * 1e6;
    const wait = this.#paidAt - now - (BURST / RATE) * 1e6;
    if (wait <= 0 || this.#hurry) return;
    await new Promise<void>((resolve) => this.#clock.after(wait, resolve));
  }
}

/** Where a log goes when its file is full. */
export function former(path: string): string {
  return `${path}.1`;
}

/** Removes a log, its former file too. */
export async function removeLog(path: string): Promise<void> {
  await Promise.all([rm(path, { force: true }), rm(former(path), { force: true })]);
}

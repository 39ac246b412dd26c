/** The files of the audit log as the writer sees them: append durably, go on in the next, drop the oldest. */
import { closeSync, constants, openSync, write, writeSync } from "node:fs";
import { type FileHandle, open, rm, stat } from "node:fs/promises";
import { type ChainEnd, hashOf } from "./chain.js";
import { auditFile, lastHeadFile } from "./files.js";

export interface AuditStore {
  /** The number of the file that is written, and its size, bytes. */
  readonly file: number;
  readonly size: number;
  /** Appends and makes durable. When it rejects, the file is as it was. */
  append(text: string): Promise<void>;
  /** Goes on in the next file. */
  next(): Promise<void>;
  /** The last line of a file and its hash. */
  endOf(file: number): Promise<ChainEnd | undefined>;
  remove(file: number): Promise<void>;
  /** Keeps a copy of the last head beside the log. */
  keepHead(line: string): Promise<void>;
  close(): Promise<void>;
}

/** Bytes of a file's end in which its last line is looked for; a line is far shorter. */
const TAIL_BYTES = 64 * 1024;

/** A head in its own file: always as long, so that writing it anew is one write at one place. */
const HEAD_BYTES = 512;
/** What is written is on disk when the write is over: one errand for a thread instead of two. */
const DURABLE = constants.O_RDWR | constants.O_DSYNC;
const OPEN_HEAD = constants.O_WRONLY | constants.O_CREAT;

export class FileStore implements AuditStore {
  readonly #directory: string;
  #handle: FileHandle;
  #file: number;
  #size: number;
  /** Where the copy of the last head is written, each over the one before. */
  #head: number | undefined;

  private constructor(directory: string, file: number, handle: FileHandle, size: number) {
    this.#directory = directory;
    this.#file = file;
    this.#handle = handle;
    this.#size = size;
  }

  /** Goes on with `file` behind its first `size` bytes; what stands there is cut off. */
  static async open(directory: string, file: number, size: number): Promise<FileStore> {
    const handle = await openToWrite(auditFile(directory, file));
    await handle.truncate(size);
    return new FileStore(directory, file, handle, size);
  }

  get file(): number {
    return this.#file;
  }
  get size(): number {
    return this.#size;
  }

  async append(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    try {
      for (let done = 0; done < bytes.length; ) {
        done += await writeAt(this.#handle.fd, bytes.subarray(done), this.#size + done);
      }
    } catch (error) {
      // The same text is written again at the same place; half of it is no line meanwhile.
      await this.#handle.truncate(this.#size).catch(() => undefined);
      throw error;
    }
    this.#size += bytes.length;
  }

  async next(): Promise<void> {
    const handle = await openToWrite(auditFile(this.#directory, this.#file + 1));
    await handle.truncate(0);
    await this.#handle.close();
    this.#handle = handle;
    this.#file += 1;
    this.#size = 0;
  }

  async endOf(file: number): Promise<ChainEnd | undefined> {
    return (await readTail(auditFile(this.#directory, file))).end;
  }

  remove(file: number): Promise<void> {
    return rm(auditFile(this.#directory, file), { force: true });
  }

  async keepHead(line: string): Promise<void> {
    this.#head ??= openSync(lastHeadFile(this.#directory), OPEN_HEAD, 0o600);
    // So few bytes are in the page cache before another thread would have heard of them.
    writeSync(this.#head, `${line.padEnd(HEAD_BYTES - 1)}\n`, 0);
  }

  async close(): Promise<void> {
    if (this.#head !== undefined) closeSync(this.#head);
    await this.#handle.close();
  }
}

export interface Tail {
  /** The last whole line; undefined when there is none, or it is no line of a log. */
  readonly end: ChainEnd | undefined;
  /** Bytes up to the end of the last whole line. */
  readonly size: number;
  /** Bytes behind it: a line that was not written to its end. */
  readonly torn: number;
}

/** How a file ends. */
export async function readTail(path: string): Promise<Tail> {
  const { size: length } = await stat(path);
  const bytes = Buffer.alloc(Math.min(length, TAIL_BYTES));
  const handle = await open(path, "r");
  try {
    await handle.read(bytes, 0, bytes.length, length - bytes.length);
  } finally {
    await handle.close();
  }
  const last = bytes.lastIndexOf(0x0a);
  const torn = bytes.length - 1 - last;
  const before = last < 1 ? -1 : bytes.lastIndexOf(0x0a, last - 1);
  const line = bytes.subarray(before + 1, Math.max(0, last));
  const n = Number(/^\{"n":([1-9]\d{0,15}),/.exec(line.toString("latin1"))?.[1] ?? 0);
  const end = n > 0 ? { n, hash: hashOf(line) } : undefined;
  return { end, size: length - torn, torn };
}

async function openToWrite(path: string): Promise<FileHandle> {
  try {
    return await open(path, DURABLE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return open(path, DURABLE | constants.O_CREAT | constants.O_EXCL, 0o600);
  }
}

/** Durable when it resolves. Node's promises of files cost more than these writes do. @returns bytes written */
function writeAt(fd: number, bytes: Buffer, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, 0, bytes.length, position, (error, written) =>
      error ? reject(error) : resolve(written),
    );
  });
}

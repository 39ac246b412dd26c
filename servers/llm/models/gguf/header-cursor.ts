/**
 * Reads little-endian values from the first bytes of a GGUF file, and believes
 * nothing that is said of lengths: what goes beyond the file, or beyond what any
 * model needs, is refused before anything of that size is read or allocated.
 */
import { ContixError } from "../../../../proto/errno.js";

/** Bytes of a head; a vocabulary of 262,144 tokens with merges takes a quarter of it. */
export const MOST_HEAD = 64 << 20;

/** Values of all lists of a head together. */
const MOST_VALUES = 8 << 20;

/** Bytes of the name of a tensor or of a metadata entry. */
const MOST_NAME = 1 << 10;

/** Thrown where the bytes at hand end, and the file has more. */
export class Short extends Error {}

export class Cursor {
  readonly path: string;
  /** What is being read, for messages. */
  reading = "its first bytes";
  position = 0;
  /** The bytes at hand. */
  readonly view: DataView;
  readonly #bytes: Buffer;
  readonly #fileSize: number;
  #values = 0;

  constructor(path: string, bytes: Buffer, fileSize: number) {
    this.path = path;
    this.#bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#fileSize = fileSize;
  }

  /** The error for a file that can not be read. */
  bad(what: string): ContixError {
    return new ContixError("EMODEL", `${this.path} ${what}`);
  }

  /**
   * Goes on by `length` bytes; gives where they begin in `view`.
   * @throws Short; ContixError EMODEL when the file, or any head, ends before.
   */
  advance(length: number): number {
    const start = this.position;
    const end = start + length;
    if (end > this.#fileSize) {
      const needs = `and ${this.reading} goes on to byte ${end}`;
      throw this.bad(`is truncated: it ends at byte ${this.#fileSize}, ${needs}`);
    }
    if (end > MOST_HEAD) {
      const much = `${this.reading} goes on to byte ${end}, and no head has more than ${MOST_HEAD}`;
      throw this.bad(`is damaged: ${much}`);
    }
    if (end > this.#bytes.length) throw new Short();
    this.position = end;
    return start;
  }

  bytes(length: number): Buffer {
    const start = this.advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  u32(): number {
    return this.view.getUint32(this.advance(4), true);
  }

  /** A u64 that a number can hold; more is nonsense in any file. */
  u64(): number {
    const value = Number(this.view.getBigUint64(this.advance(8), true));
    if (!Number.isSafeInteger(value)) {
      throw this.bad(`is damaged: ${this.reading} has the number ${value}`);
    }
    return value;
  }

  /** A u64 that counts `what`. */
  count(what: string, most: number): number {
    const value = this.u64();
    if (value > most) throw this.bad(`is damaged: it claims ${value} ${what}, more than ${most}`);
    return value;
  }

  /** A u64 that counts the values of a list. */
  listLength(): number {
    const length = this.count(`values in ${this.reading}`, this.#fileSize);
    this.#values += length;
    if (this.#values > MOST_VALUES) {
      const where = `${this.reading} brings them to ${this.#values}`;
      throw this.bad(`is damaged: its lists have more than ${MOST_VALUES} values, ${where}`);
    }
    return length;
  }

  string(): string {
    return this.bytes(this.u64()).toString("utf8");
  }

  /** A name of `what`, which is what is read from then on. */
  name(what: string): string {
    const name = this.bytes(this.count(`bytes in the name of ${this.reading}`, MOST_NAME));
    const text = name.toString("utf8");
    this.reading = `${what} "${text}"`;
    return text;
  }
}

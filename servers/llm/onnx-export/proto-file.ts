/**
 * Walks a protobuf file field by field, where it lies on disk. An ONNX file holds its
 * weights between the few fields that say what it is, so what is not asked for is
 * stepped over and never read, and a length that lies is found before it is believed.
 */
import { readSync } from "node:fs";
import { ContixError } from "../../../proto/errno.js";

/** A field of a message: a number, or bytes at start.. of the file. */
export interface ProtoField {
  readonly number: number;
  /** Of a varint; 0 of any other field. */
  readonly value: number;
  /** Of bytes, strings and messages; an empty range of any other field. */
  readonly range: Range;
}

/** Bytes [start, end) of the file. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

const PAGE = 1 << 16;
/** Names and shapes are short; what is longer is no name. */
const LONGEST = 1 << 20;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

export class ProtoFile {
  readonly #fd: number;
  readonly #name: string;
  #page = Buffer.alloc(0);
  #pageStart = 0;

  /** `fd` stays the caller's to close; `name` is for errors. */
  constructor(fd: number, name: string) {
    this.#fd = fd;
    this.#name = name;
  }

  /**
   * The fields of the message in `range`.
   * @throws ContixError EMODEL where the bytes are no message
   */
  *fields({ start, end }: Range): Generator<ProtoField> {
    let at = start;
    while (at < end) {
      const key = this.#varint(at, end);
      const number = Math.floor(key.value / 8);
      const wire = key.value % 8;
      const body = this.#body(wire, key.end, end);
      if (number === 0 || body.range.end > end) throw this.damaged(at);
      yield { number, ...body };
      at = body.range.end;
    }
  }

  /** The bytes of a short field. */
  bytes({ start, end }: Range): Buffer {
    if (end - start > LONGEST) throw this.damaged(start);
    const bytes = Buffer.alloc(end - start);
    if (readSync(this.#fd, bytes, 0, bytes.length, start) !== bytes.length) {
      throw this.damaged(start);
    }
    return bytes;
  }

  text(range: Range): string {
    return this.bytes(range).toString("utf8");
  }

  damaged(at: number): ContixError {
    return new ContixError("EMODEL", `${this.#name} is no ONNX model: damaged at byte ${at}`);
  }

  #body(wire: number, at: number, end: number): { value: number; range: Range } {
    if (wire === VARINT) {
      const { value, end: after } = this.#varint(at, end);
      return { value, range: { start: after, end: after } };
    }
    if (wire === BYTES) {
      const { value: length, end: start } = this.#varint(at, end);
      return { value: 0, range: { start, end: start + length } };
    }
    const size = wire === FIXED64 ? 8 : wire === FIXED32 ? 4 : 0;
    if (size === 0) throw this.damaged(at);
    return { value: 0, range: { start: at + size, end: at + size } };
  }

  /** A varint as a float: exact up to 2^53, which no length or number here reaches. */
  #varint(at: number, end: number): { value: number; end: number } {
    let value = 0;
    let unit = 1;
    for (let i = at; i < end && i < at + 10; i++) {
      const byte = this.#byte(i);
      value += (byte & 0x7f) * unit;
      unit *= 128;
      if (byte < 0x80) return { value, end: i + 1 };
    }
    throw this.damaged(at);
  }

  #byte(at: number): number {
    if (at < this.#pageStart || at >= this.#pageStart + this.#page.length) {
      const page = Buffer.alloc(PAGE);
      const read = readSync(this.#fd, page, 0, PAGE, at);
      this.#page = page.subarray(0, read);
      this.#pageStart = at;
    }
    const byte = this.#page[at - this.#pageStart];
    if (byte === undefined) throw this.damaged(at);
    return byte;
  }
}

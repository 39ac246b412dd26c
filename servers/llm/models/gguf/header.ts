/**
 * Reads the head of a GGUF file: metadata and tensor table. The format is that of
 * ggml's gguf.md, versions 2 and 3, little-endian:
 *
 *   "GGUF" u32 version, u64 tensors, u64 entries, entries: (string key, u32 type,
 *   value)…, tensors: (string name, u32 dims, u64 dim…, u32 type, u64 offset)…,
 *   padding to `general.alignment`, tensor data.
 *
 * The head is parsed from the first bytes of the file; when they do not reach, from
 * twice as many. Nothing that a file claims is believed beyond its size.
 */
import { type FileHandle, open } from "node:fs/promises";
import { ContixError } from "../../../../proto/errno.js";
import { ggmlBytes } from "./types.js";

export type GgufValue = number | boolean | string | readonly GgufValue[];

export interface GgufTensor {
  readonly name: string;
  /** The id of a ggml type. */
  readonly type: number;
  /** Lengths, the contiguous dimension first. */
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
}

export interface GgufHeader {
  readonly path: string;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

const FIRST_READ = 4 << 20;
const MOST_DIMS = 4;
const DEFAULT_ALIGNMENT = 32;

/**
 * The head of the file at `path`.
 * @throws ContixError ENOENT; EMODEL: no GGUF file, a version or byte order that
 * is not known, damaged, or shorter than its tensor table says.
 */
export async function readGgufHeader(path: string): Promise<GgufHeader> {
  const file = await open(path, "r").catch((cause) => {
    throw new ContixError("ENOENT", `${path} can not be opened`, { argument: "file", cause });
  });
  try {
    const { size } = await file.stat();
    const header = await parseGrowing(file, path, size);
    checkExtent(header, size);
    return header;
  } finally {
    await file.close();
  }
}

async function parseGrowing(file: FileHandle, path: string, size: number): Promise<GgufHeader> {
  for (let length = FIRST_READ; ; length *= 2) {
    const head = Buffer.alloc(Math.min(length, size));
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    const cursor = new Cursor(path, head.subarray(0, bytesRead), size);
    try {
      return parse(cursor);
    } catch (error) {
      if (!(error instanceof Short)) throw error;
      if (length >= size) throw cursor.bad(`is truncated: it ends at byte ${size}, in its head`);
    }
  }
}

function parse(cursor: Cursor): GgufHeader {
  const magic = cursor.bytes(4);
  if (magic.toString("latin1") !== "GGUF") {
    throw cursor.bad(`is no GGUF file: it starts with 0x${magic.toString("hex")}, not "GGUF"`);
  }
  const version = cursor.u32();
  if ((version & 0xffff) === 0) throw cursor.bad("is big-endian GGUF; only little-endian is read");
  if (version !== 2 && version !== 3) {
    throw cursor.bad(`is GGUF version ${version}; versions 2 and 3 are read`);
  }
  const tensorCount = cursor.count("tensors");
  const entryCount = cursor.count("metadata entries");
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < entryCount; i++) {
    const key = cursor.string();
    if (metadata.has(key)) throw cursor.bad(`is damaged: metadata "${key}" is there twice`);
    metadata.set(key, readValue(cursor, key, cursor.u32()));
  }
  const relative = Array.from({ length: tensorCount }, () => readTensor(cursor));
  const start = align(cursor.position, alignment(cursor, metadata));
  const tensors = new Map<string, GgufTensor>();
  for (const tensor of relative) {
    if (tensors.has(tensor.name)) {
      throw cursor.bad(`is damaged: tensor "${tensor.name}" is there twice`);
    }
    tensors.set(tensor.name, { ...tensor, offset: start + tensor.offset });
  }
  return { path: cursor.path, metadata, tensors };
}

function readTensor(cursor: Cursor): GgufTensor {
  const name = cursor.string();
  const dims = cursor.u32();
  if (dims > MOST_DIMS) throw cursor.bad(`is damaged: tensor "${name}" has ${dims} dimensions`);
  const shape = Array.from({ length: dims }, () => cursor.u64());
  return { name, shape, type: cursor.u32(), offset: cursor.u64() };
}

const ARRAY = 9;

/** How each type of metadata value is read, by its number in the format. */
const VALUES: readonly (((cursor: Cursor) => GgufValue) | undefined)[] = [
  (c) => c.bytes(1).readUInt8(),
  (c) => c.bytes(1).readInt8(),
  (c) => c.bytes(2).readUInt16LE(),
  (c) => c.bytes(2).readInt16LE(),
  (c) => c.u32(),
  (c) => c.bytes(4).readInt32LE(),
  (c) => c.bytes(4).readFloatLE(),
  (c) => c.bytes(1).readUInt8() !== 0,
  (c) => c.string(),
  undefined,
  (c) => Number(c.bytes(8).readBigUInt64LE()),
  (c) => Number(c.bytes(8).readBigInt64LE()),
  (c) => c.bytes(8).readDoubleLE(),
];

function readValue(cursor: Cursor, key: string, type: number): GgufValue {
  if (type !== ARRAY) return reader(cursor, key, type)(cursor);
  const read = reader(cursor, key, cursor.u32());
  const length = cursor.count(`elements of "${key}"`);
  const values: GgufValue[] = [];
  for (let i = 0; i < length; i++) values.push(read(cursor));
  return values;
}

function reader(cursor: Cursor, key: string, type: number): (cursor: Cursor) => GgufValue {
  const read = VALUES[type];
  if (!read) throw cursor.bad(`is damaged: metadata "${key}" has the unknown type ${type}`);
  return read;
}

function alignment(cursor: Cursor, metadata: ReadonlyMap<string, GgufValue>): number {
  const value = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT;
  if (typeof value !== "number" || !Number.isInteger(value) || value <= 0) {
    throw cursor.bad(`is damaged: general.alignment is ${value}`);
  }
  return value;
}

function align(position: number, to: number): number {
  return Math.ceil(position / to) * to;
}

/** Every tensor of a known type must lie within the file. */
function checkExtent({ path, tensors }: GgufHeader, size: number): void {
  for (const { name, type, shape, offset } of tensors.values()) {
    const values = shape.reduce((product, length) => product * length, 1);
    const end = offset + (ggmlBytes(type, values) ?? 0);
    if (end > size) {
      const where = `tensor "${name}" ends at byte ${end}, the file at byte ${size}`;
      throw new ContixError("EMODEL", `${path} is truncated: ${where}`);
    }
  }
}

/** Thrown where the bytes at hand end; the file may have more. */
class Short extends Error {}

class Cursor {
  readonly path: string;
  readonly #bytes: Buffer;
  readonly #fileSize: number;
  position = 0;

  constructor(path: string, bytes: Buffer, fileSize: number) {
    this.path = path;
    this.#bytes = bytes;
    this.#fileSize = fileSize;
  }

  bad(what: string): ContixError {
    return new ContixError("EMODEL", `${this.path} ${what}`);
  }

  bytes(length: number): Buffer {
    const end = this.position + length;
    if (end > this.#bytes.length) throw new Short();
    const bytes = this.#bytes.subarray(this.position, end);
    this.position = end;
    return bytes;
  }

  u32(): number {
    return this.bytes(4).readUInt32LE();
  }

  /** A u64 that a number can hold; more is nonsense in any file. */
  u64(): number {
    const value = Number(this.bytes(8).readBigUInt64LE());
    if (!Number.isSafeInteger(value)) {
      throw this.bad(`is damaged: the number at byte ${this.position - 8} is ${value}`);
    }
    return value;
  }

  /** A u64 that counts things of a byte at least: there can not be more than the file has bytes. */
  count(what: string): number {
    const value = this.u64();
    if (value > this.#fileSize) throw this.bad(`is damaged: it claims ${value} ${what}`);
    return value;
  }

  string(): string {
    return this.bytes(this.count("bytes of text")).toString("utf8");
  }
}

/**
 * Reads the head of a GGUF file: metadata and tensor table. The format is that of
 * ggml's gguf.md, versions 2 and 3, little-endian:
 *
 *   "GGUF" u32 version, u64 tensors, u64 entries, entries: (string key, u32 type,
 *   value)…, tensors: (string name, u32 dims, u64 dim…, u32 type, u64 offset)…,
 *   padding to `general.alignment`, tensor data.
 *
 * The head is parsed from the first bytes of the file; when they do not reach, from
 * twice as many. What a file claims is believed within bounds (header-cursor.ts).
 */
import { type FileHandle, open } from "node:fs/promises";
import { ContixError } from "../../../../proto/errno.js";
import { Cursor, MOST_HEAD, Short } from "./header-cursor.js";
import { checkLayout } from "./header-layout.js";

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
/** Of tensors, and of metadata entries. */
const MOST_ENTRIES = 1 << 16;

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
    checkLayout(header, size, alignment(header));
    return header;
  } finally {
    await file.close();
  }
}

async function parseGrowing(file: FileHandle, path: string, size: number): Promise<GgufHeader> {
  for (let length = FIRST_READ; ; length *= 2) {
    const head = Buffer.alloc(Math.min(length, size, MOST_HEAD));
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    // A file that shrank meanwhile is as long as what was read.
    const end = bytesRead < head.length ? bytesRead : size;
    try {
      return parse(new Cursor(path, head.subarray(0, bytesRead), end));
    } catch (error) {
      if (!(error instanceof Short)) throw error;
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
  const tensorCount = cursor.count("tensors", MOST_ENTRIES);
  const entryCount = cursor.count("metadata entries", MOST_ENTRIES);
  const metadata = readMetadata(cursor, entryCount);
  const relative = readTensors(cursor, tensorCount);
  const head = { path: cursor.path, metadata, tensors: relative };
  const start = align(cursor.position, alignment(head));
  const tensors = new Map<string, GgufTensor>();
  for (const [name, tensor] of relative) {
    tensors.set(name, { ...tensor, offset: start + tensor.offset });
  }
  return { ...head, tensors };
}

function readMetadata(cursor: Cursor, count: number): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    cursor.reading = `metadata entry ${i}`;
    const key = cursor.name("metadata");
    if (metadata.has(key)) throw cursor.bad(`is damaged: metadata "${key}" is there twice`);
    metadata.set(key, readValue(cursor, cursor.u32()));
  }
  return metadata;
}

/** The tensor table; offsets are from the start of the data. */
function readTensors(cursor: Cursor, count: number): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  for (let i = 0; i < count; i++) {
    cursor.reading = `entry ${i} of the tensor table`;
    const name = cursor.name("tensor");
    if (tensors.has(name)) throw cursor.bad(`is damaged: tensor "${name}" is there twice`);
    const dims = cursor.u32();
    if (dims > MOST_DIMS) throw cursor.bad(`is damaged: tensor "${name}" has ${dims} dimensions`);
    const shape = Array.from({ length: dims }, () => cursor.u64());
    tensors.set(name, { name, shape, type: cursor.u32(), offset: cursor.u64() });
  }
  return tensors;
}

const ARRAY = 9;

/** How each type of metadata value is read, by its number in the format. */
const VALUES: readonly (((cursor: Cursor) => GgufValue) | undefined)[] = [
  (c) => c.view.getUint8(c.advance(1)),
  (c) => c.view.getInt8(c.advance(1)),
  (c) => c.view.getUint16(c.advance(2), true),
  (c) => c.view.getInt16(c.advance(2), true),
  (c) => c.u32(),
  (c) => c.view.getInt32(c.advance(4), true),
  (c) => c.view.getFloat32(c.advance(4), true),
  (c) => c.view.getUint8(c.advance(1)) !== 0,
  (c) => c.string(),
  undefined,
  (c) => Number(c.view.getBigUint64(c.advance(8), true)),
  (c) => Number(c.view.getBigInt64(c.advance(8), true)),
  (c) => c.view.getFloat64(c.advance(8), true),
];

function readValue(cursor: Cursor, type: number): GgufValue {
  if (type !== ARRAY) return reader(cursor, type)(cursor);
  const elements = cursor.u32();
  if (elements === ARRAY) throw cursor.bad(`can not be read: ${cursor.reading} is a list of lists`);
  const read = reader(cursor, elements);
  const length = cursor.listLength();
  const values: GgufValue[] = [];
  for (let i = 0; i < length; i++) values.push(read(cursor));
  return values;
}

function reader(cursor: Cursor, type: number): (cursor: Cursor) => GgufValue {
  const read = VALUES[type];
  if (!read) throw cursor.bad(`is damaged: ${cursor.reading} has the unknown type ${type}`);
  return read;
}

/** What offsets of tensors are multiples of: a power of two. */
function alignment({ path, metadata }: GgufHeader): number {
  const value = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT;
  if (typeof value === "number" && Number.isInteger(Math.log2(value)) && value >= 1) return value;
  const shown = Array.isArray(value) ? "a list" : JSON.stringify(value);
  const what = `is damaged: general.alignment is ${shown}, no power of two`;
  throw new ContixError("EMODEL", `${path} ${what}`);
}

function align(position: number, to: number): number {
  return Math.ceil(position / to) * to;
}

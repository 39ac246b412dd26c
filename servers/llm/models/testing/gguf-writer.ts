/** Writes GGUF files for tests: any metadata, any tensors, right or wrong on purpose. */

/** A metadata value; `u32`, `f32` and so on say its type where a bare value does not. */
export type WriterValue =
  | string
  | boolean
  | { readonly u32: number }
  | { readonly i32: number }
  | { readonly u64: number }
  | { readonly f32: number }
  | { readonly texts: readonly string[] }
  | { readonly flags: readonly boolean[] }
  | { readonly bytes: Uint8Array }
  | { readonly f32s: readonly number[] }
  | { readonly i32s: readonly number[] };

/** A tensor as the head of a file has it. */
export interface WriterEntry {
  readonly name: string;
  /** The id of a ggml type. */
  readonly type: number;
  /** The contiguous dimension first. */
  readonly shape: readonly number[];
  readonly data: { readonly length: number };
}

export interface WriterTensor extends WriterEntry {
  readonly data: Uint8Array;
}

export interface GgufFile {
  readonly magic?: string;
  readonly version?: number;
  readonly metadata: Readonly<Record<string, WriterValue>>;
  readonly tensors: readonly WriterTensor[];
}

const ALIGNMENT = 32;

/** The bytes of a GGUF file. */
export function ggufBytes(file: GgufFile): Buffer {
  return Buffer.concat([ggufHead(file).head, ...file.tensors.map(({ data }) => padded(data))]);
}

/** What stands before the data of the tensors, and how long the whole file is, bytes. */
export function ggufHead(
  file: Omit<GgufFile, "tensors"> & { readonly tensors: readonly WriterEntry[] },
): { readonly head: Buffer; readonly length: number } {
  const entries = Object.entries(file.metadata);
  const head = Buffer.concat([
    Buffer.from(file.magic ?? "GGUF"),
    u32(file.version ?? 3),
    u64(file.tensors.length),
    u64(entries.length),
    ...entries.map(([key, value]) => Buffer.concat([text(key), typed(value)])),
    tensorTable(file.tensors),
  ]);
  const length = file.tensors.reduce(
    (sum, { data }) => sum + paddedLength(data.length),
    paddedLength(head.length),
  );
  return { head: padded(head), length };
}

function tensorTable(tensors: readonly WriterEntry[]): Buffer {
  let offset = 0;
  const rows = tensors.map(({ name, type, shape, data }) => {
    const row = [text(name), u32(shape.length), ...shape.map(u64), u32(type), u64(offset)];
    offset += paddedLength(data.length);
    return Buffer.concat(row);
  });
  return Buffer.concat(rows);
}

function typed(value: WriterValue): Buffer {
  if (typeof value === "string") return Buffer.concat([u32(8), text(value)]);
  if (typeof value === "boolean") return Buffer.concat([u32(7), Buffer.from([value ? 1 : 0])]);
  if ("u32" in value) return Buffer.concat([u32(4), u32(value.u32)]);
  if ("i32" in value) return Buffer.concat([u32(5), i32(value.i32)]);
  if ("u64" in value) return Buffer.concat([u32(10), u64(value.u64)]);
  if ("f32" in value) return Buffer.concat([u32(6), f32(value.f32)]);
  if ("texts" in value) return list(8, value.texts.map(text));
  if ("flags" in value)
    return list(
      7,
      value.flags.map((flag) => Buffer.from([flag ? 1 : 0])),
    );
  if ("f32s" in value) return list(6, value.f32s.map(f32));
  if ("bytes" in value)
    return list(
      0,
      Array.from(value.bytes, (byte) => Buffer.from([byte])),
    );
  return list(5, value.i32s.map(i32));
}

function list(type: number, items: readonly Buffer[]): Buffer {
  return Buffer.concat([u32(9), u32(type), u64(items.length), ...items]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

function u32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
}

function i32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeInt32LE(value);
  return out;
}

function u64(value: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt(value));
  return out;
}

function f32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeFloatLE(value);
  return out;
}

function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(paddedLength(bytes.length) - bytes.length)]);
}

function paddedLength(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

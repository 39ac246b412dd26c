/**
 * The head of a safetensors file: which tensor lies where. Its layout: eight bytes of
 * length, that many bytes of JSON, then the tensors as they are, little-endian.
 */
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { z } from "zod";
import { ContixError } from "../../../proto/errno.js";

export interface SafeTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes in the file. */
  readonly offset: number;
  readonly length: number;
}

/** As the format's own readers have it. */
const LONGEST_HEAD = 100_000_000;

const count = z.number().int().nonnegative();
const Entry = z.object({
  dtype: z.string(),
  shape: z.array(count).max(8),
  data_offsets: z.tuple([count, count]),
});

/**
 * The tensors of the file at `path`, by name.
 * @throws ContixError EMODEL when its head is damaged, or names bytes that are not there
 */
export async function readSafeTensors(path: string): Promise<ReadonlyMap<string, SafeTensor>> {
  const name = basename(path);
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const length = Buffer.alloc(8);
  await file.read(length, 0, 8, 0);
  const head = length.readBigUInt64LE();
  if (size < 8 || head > Math.min(LONGEST_HEAD, size - 8)) throw damaged(name, "its head");
  const json = Buffer.alloc(Number(head));
  await file.read(json, 0, json.length, 8);
  const start = 8 + json.length;
  const tensors = new Map<string, SafeTensor>();
  for (const [key, value] of Object.entries(parse(json, name))) {
    if (key === "__metadata__") continue;
    const entry = Entry.safeParse(value);
    if (!entry.success) throw damaged(name, `tensor ${key}`);
    const { dtype, shape, data_offsets: range } = entry.data;
    const bytes = range[1] - range[0];
    if (bytes < 0 || start + range[1] > size) throw damaged(name, `tensor ${key}`);
    tensors.set(key, { dtype, shape, offset: start + range[0], length: bytes });
  }
  return tensors;
}

function parse(json: Buffer, name: string): Record<string, unknown> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(json.toString("utf8")));
  } catch (cause) {
    throw damaged(name, "its head", cause);
  }
}

function damaged(name: string, what: string, cause?: unknown): ContixError {
  return new ContixError("EMODEL", `${name} is no whole safetensors file: ${what} is damaged`, {
    cause,
  });
}

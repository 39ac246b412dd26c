/** Heads that claim what is not so: refused by name, before anything of that size is made. */
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ContixError } from "../../../../proto/errno.js";
import { readGgufHeader } from "./header.js";

const GIB = 2 ** 30;
const U8 = 0;
const TEXT = 8;
const LIST = 9;
const U64_MAX = 2n ** 64n - 1n;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "contix-hostile-"));
});
afterAll(() => rm(dir, { recursive: true }));

type Part = Uint8Array | string | number | bigint;

/** A string is text with its length before it, a number a u32, a bigint a u64. */
function bytes(...parts: readonly Part[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === "string")
        return bytes(BigInt(Buffer.byteLength(part)), Buffer.from(part));
      if (typeof part === "number") return Buffer.from(Uint32Array.of(part).buffer);
      if (typeof part === "bigint") return Buffer.from(BigUint64Array.of(part).buffer);
      return Buffer.from(part);
    }),
  );
}

const start = (tensors: bigint, entries: bigint) => bytes(Buffer.from("GGUF"), 3, tensors, entries);

/** A head with one metadata entry. */
const entry = (...parts: readonly Part[]) => bytes(start(0n, 1n), ...parts);

interface Tensor {
  readonly name?: string;
  readonly shape?: readonly bigint[];
  readonly type?: number;
  readonly offset?: bigint;
}

/** A file whose tensors (by default F32, 8 values, at 0) have 1 KiB of data; `alignment` a value. */
function file(tensors: readonly Tensor[], alignment: readonly Part[] = []): Buffer {
  const entries = alignment.length > 0 ? ["general.alignment", ...alignment] : [];
  const table = tensors.map(({ name = "t", shape = [8n], type = 0, offset = 0n }) =>
    bytes(name, shape.length, ...shape, type, offset),
  );
  const count = BigInt(tensors.length);
  return bytes(
    start(count, entries.length > 0 ? 1n : 0n),
    ...entries,
    ...table,
    Buffer.alloc(1024),
  );
}

/** The message with which the file is refused; `size` makes it so long, with a hole. */
async function refusal(content: Uint8Array, size = content.length): Promise<string> {
  const path = join(dir, "x.gguf");
  const handle = await open(path, "w");
  await handle.write(content);
  await handle.truncate(size);
  await handle.close();
  const before = process.resourceUsage().maxRSS;
  const error = await readGgufHeader(path).catch((thrown: unknown) => thrown);
  // Heads are read 64 MiB at most, twice as much while they grow; the rest is slack.
  expect(process.resourceUsage().maxRSS - before).toBeLessThan(512 * 1024);
  if (error instanceof ContixError && error.code === "EMODEL") return error.message;
  throw new Error(`it was not refused as it should be: ${String(error)}`);
}

describe("a text", () => {
  it("of 1 GB in a short file is truncated", async () => {
    expect(await refusal(entry("big", TEXT, BigInt(GIB)))).toMatch(
      /is truncated: it ends at byte 47, and metadata "big" goes on to byte 1073741871/,
    );
  });

  it("of 1 GB in a file that has it is refused unread", async () => {
    expect(await refusal(entry("big", TEXT, BigInt(GIB)), 3 * GIB)).toMatch(
      /is damaged: metadata "big" goes on to byte 1073741871, and no head has more/,
    );
  });

  it("of a length beyond any number is refused", async () => {
    expect(await refusal(entry("big", TEXT, U64_MAX))).toMatch(
      /is damaged: metadata "big" has the number 18446744073709552000/,
    );
    expect(await refusal(entry("big", TEXT, 2n ** 53n - 1n))).toMatch(/is truncated.* "big"/);
  });

  it("as a name has bounds of its own", async () => {
    expect(await refusal(entry(BigInt(GIB)), 3 * GIB)).toMatch(
      /claims 1073741824 bytes in the name of metadata entry 0/,
    );
    expect(await refusal(entry(U64_MAX))).toMatch(/metadata entry 0 has the number 1844/);
    const table = bytes(start(1n, 0n), BigInt(GIB));
    expect(await refusal(table)).toMatch(/bytes in the name of entry 0 of the tensor table/);
  });
});

describe("a list", () => {
  it("of 10^9 values is refused, whether the file could hold them or not", async () => {
    for (const type of [U8, TEXT]) {
      const head = entry("list", LIST, type, 10n ** 9n);
      expect(await refusal(head)).toMatch(/claims 1000000000 values in metadata "list"/);
      expect(await refusal(head, 9 * GIB)).toMatch(
        /lists have more than 8388608 values, metadata "list" brings them to 1000000000/,
      );
    }
    expect(await refusal(entry("list", LIST, U8, U64_MAX))).toMatch(
      /metadata "list" has the number 1844/,
    );
  });

  it("after list is counted together", async () => {
    const many = 3 << 20;
    const list = bytes(LIST, U8, BigInt(many), Buffer.alloc(many));
    const head = bytes(start(0n, 3n), "a", list, "b", list, "c", list);
    expect(await refusal(head)).toMatch(/metadata "c" brings them to 9437184/);
  });

  it("of lists can not be read", async () => {
    const nested = bytes(LIST, LIST, 1n, LIST, 1n, U8, 1n);
    expect(await refusal(entry("list", nested))).toMatch(/metadata "list" is a list of lists/);
  });

  it("of an unknown type is refused, as is a value", async () => {
    expect(await refusal(entry("list", LIST, 13, 1n))).toMatch(/"list" has the unknown type 13/);
    expect(await refusal(entry("odd", 13, 1n))).toMatch(/"odd" has the unknown type 13/);
  });
});

describe("a count", () => {
  it("of tensors or of entries that no model has is refused", async () => {
    for (const count of [65_537n, 10n ** 9n, 2n ** 53n - 1n]) {
      const claim = `claims ${count}`;
      expect(await refusal(start(count, 0n), 3 * GIB)).toMatch(`${claim} tensors`);
      expect(await refusal(start(0n, count), 3 * GIB)).toMatch(`${claim} metadata entries`);
    }
    expect(await refusal(start(U64_MAX, 0n))).toMatch(/has the number 1844/);
  });

  it("of dimensions that no tensor has is refused", async () => {
    expect(await refusal(file([{ shape: [1n, 1n, 1n, 1n, 1n] }]))).toMatch(/"t" has 5 dimensions/);
    expect(await refusal(bytes(start(1n, 0n), "t", 2 ** 32 - 1))).toMatch(
      /"t" has 4294967295 dimensions/,
    );
  });
});

describe("a tensor", () => {
  it("beyond the file is truncated, however large", async () => {
    for (const shape of [[1024n], [10n ** 9n], [2n ** 40n, 2n ** 40n], Array(4).fill(2n ** 52n)]) {
      expect(await refusal(file([{ shape }]))).toMatch(/is truncated: tensor "t" ends at byte/);
    }
    expect(await refusal(file([{ shape: [2n ** 63n] }]))).toMatch(/tensor "t" has the number/);
    for (const offset of [1024n, 2n ** 40n, 2n ** 53n - 32n]) {
      expect(await refusal(file([{ offset }]))).toMatch(/is truncated: tensor "t" ends at byte/);
      expect(await refusal(file([{ offset, type: 16 }]))).toMatch(/is truncated: tensor "t"/);
    }
    expect(await refusal(file([{ offset: U64_MAX }]))).toMatch(/tensor "t" has the number/);
  });

  it("without values is refused", async () => {
    expect(await refusal(file([{ shape: [8n, 0n] }]))).toMatch(/"t" has the shape \[8, 0\]/);
  });

  it("with rows that are no whole blocks is refused", async () => {
    expect(await refusal(file([{ type: 12, shape: [128n, 2n] }]))).toMatch(
      /tensor "t" has rows of 128 values, and Q4_K packs 256 a block/,
    );
    expect(await refusal(file([{ type: 8, shape: [33n] }]))).toMatch(/"t" has rows of 33 values/);
  });

  it("there twice is refused", async () => {
    expect(await refusal(file([{}, { offset: 32n }]))).toMatch(/tensor "t" is there twice/);
    expect(await refusal(bytes(start(0n, 2n), "k", 4, 1, "k", 4, 2))).toMatch(
      /metadata "k" is there twice/,
    );
  });

  it("over another is refused", async () => {
    const expected = /tensors "a" and "b" overlap/;
    const a = { name: "a", shape: [16n] };
    expect(await refusal(file([a, { name: "b", offset: 32n }]))).toMatch(expected);
    expect(await refusal(file([{ name: "b", offset: 32n }, a]))).toMatch(expected);
    expect(await refusal(file([a, { name: "b" }]))).toMatch(/tensors "[ab]" and "[ab]" overlap/);
  });

  it("off its alignment is refused", async () => {
    expect(await refusal(file([{ offset: 4n }]))).toMatch(
      /tensor "t" begins at byte \d+, which is no multiple of general.alignment, 32/,
    );
    expect(await refusal(file([{ offset: 32n }], [4, 64]))).toMatch(/no multiple .*, 64/);
  });
});

describe("an alignment", () => {
  it("that is no power of two is refused", async () => {
    const f32 = Buffer.from(Float32Array.of(32.5).buffer);
    const cases: readonly (readonly Part[])[] = [
      [4, 0],
      [4, 3],
      [4, 33],
      [4, 2 ** 32 - 1],
      [5, 2 ** 32 - 32],
      [6, f32],
      [TEXT, "32"],
      [LIST, 4, 1n, 32],
    ];
    for (const value of cases) {
      expect(await refusal(file([{}], value))).toMatch(/general.alignment is .*, no power of two/);
    }
  });

  it("beyond the file leaves its tensors there", async () => {
    expect(await refusal(file([{}], [4, 2 ** 31]))).toMatch(/is truncated: tensor "t" ends at/);
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ContixError } from "../../../../proto/errno.js";
import { type GgufFile, ggufBytes } from "../testing/gguf-writer.js";
import { type GgufHeader, readGgufHeader } from "./header.js";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "contix-gguf-"));
});
afterAll(() => rm(dir, { recursive: true }));

const FILE: GgufFile = {
  metadata: {
    name: "wörld",
    yes: true,
    no: false,
    small: { i32: -5 },
    big: { u64: 2 ** 40 },
    half: { f32: 0.5 },
    texts: { texts: ["a", "", "ccc"] },
    numbers: { i32s: [1, -2, 3] },
  },
  tensors: [
    { name: "first", type: 0, shape: [3, 2], data: Buffer.alloc(24, 1) },
    { name: "second", type: 8, shape: [32], data: Buffer.alloc(34, 2) },
  ],
};

async function read(bytes: Uint8Array): Promise<GgufHeader> {
  const path = join(dir, "x.gguf");
  await writeFile(path, bytes);
  return readGgufHeader(path);
}

async function failure(bytes: Uint8Array): Promise<ContixError> {
  const error = await read(bytes).catch((thrown: unknown) => thrown);
  if (error instanceof ContixError) return error;
  throw new Error(`expected a typed error, got ${String(error)}`);
}

describe("readGgufHeader", () => {
  it("reads metadata of every kind and the tensor table", async () => {
    const bytes = ggufBytes(FILE);
    const header = await read(bytes);
    expect(Object.fromEntries(header.metadata)).toEqual({
      name: "wörld",
      yes: true,
      no: false,
      small: -5,
      big: 2 ** 40,
      half: 0.5,
      texts: ["a", "", "ccc"],
      numbers: [1, -2, 3],
    });
    const first = header.tensors.get("first");
    expect(first).toMatchObject({ type: 0, shape: [3, 2] });
    expect(bytes.subarray(first?.offset, (first?.offset ?? 0) + 24)).toEqual(Buffer.alloc(24, 1));
    const second = header.tensors.get("second");
    expect(second?.offset).toBe((first?.offset ?? 0) + 32);
  });

  it("reads a head that is larger than the first read, texts across its end included", async () => {
    const long = "x".repeat((4 << 20) - 60);
    const texts = [long, "across the border", "after"];
    const header = await read(ggufBytes({ ...FILE, metadata: { texts: { texts }, name: "last" } }));
    expect(header.metadata.get("texts")).toEqual(texts);
    expect(header.metadata.get("name")).toBe("last");
  });

  it("says what is wrong with a file that is none", async () => {
    expect((await failure(Buffer.from("PK\u0003\u0004and so on"))).message).toMatch(
      /is no GGUF file: it starts with 0x504b0304, not "GGUF"/,
    );
    expect((await failure(Buffer.alloc(0))).message).toMatch(/truncated: it ends at byte 0/);
    expect((await failure(ggufBytes({ ...FILE, version: 1 }))).message).toMatch(/GGUF version 1/);
    expect((await failure(ggufBytes({ ...FILE, version: 0x03000000 }))).message).toMatch(
      /big-endian/,
    );
    const missing = await readGgufHeader(join(dir, "none.gguf")).catch((error) => error);
    expect(missing).toMatchObject({ code: "ENOENT", argument: "file" });
  });

  it("names the tensor whose data the file does not have", async () => {
    const bytes = ggufBytes(FILE);
    expect((await failure(bytes.subarray(0, bytes.length - 40))).message).toMatch(
      /is truncated: tensor "second" ends at byte \d+, the file at byte \d+/,
    );
  });

  it("calls every cut within the head or the data truncated", async () => {
    const bytes = ggufBytes(FILE);
    // The last 30 bytes are padding.
    for (let length = 0; length < bytes.length - 30; length += 7) {
      const error = await failure(bytes.subarray(0, length));
      expect(error.code).toBe("EMODEL");
      expect(error.message).toMatch(/is truncated/);
    }
  });

  it("refuses things that are there twice", async () => {
    const [first] = FILE.tensors;
    const tensors = first ? [first, first] : [];
    expect((await failure(ggufBytes({ ...FILE, tensors }))).message).toMatch(
      /"first" is there twice/,
    );
  });

  it("gives a header or a typed error for any damage", async () => {
    const good = ggufBytes(FILE);
    const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        const result = await read(bytes).catch((error: unknown) => error);
        if (result instanceof ContixError) return result.code === "EMODEL";
        return !(result instanceof Error);
      }),
      { numRuns: 300 },
    );
  });
});

/** The swap file by itself: whatever happens to it is an error in words, never other bytes. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, open, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { PageMemory } from "./page-memory.js";
import { SwapFile } from "./swap-file.js";

/** As of a model with 3 heads: a page is many pieces. */
const PIECES = 1500;
const PIECE = 24;
const PAGE = PIECES * PIECE;
const SPREAD = 2 * PAGE;
const PLACES = 10;

/** Places for pages, the pieces of each apart. */
const MEMORY: PageMemory = {
  memories: [new SharedArrayBuffer(PLACES * SPREAD)],
  pieces: Array.from({ length: PIECES }, (_, i) => ({ memory: 0, start: 2 * i * PIECE })),
  length: PIECE,
};
const PAGES = { bytes: PAGE, memory: MEMORY };
/** 36,000 bytes and the header, in pages of the disk. */
const STRIDE = 9 * 4096;

let home: string;
let path: string;
let swap: SwapFile;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "contix-swap-"));
  path = join(home, "made", "model.swap");
  swap = await SwapFile.open(path, 10 * STRIDE + 100, PAGES);
});
afterEach(async () => {
  await swap.close().catch(() => {});
  await rm(home, { recursive: true, force: true });
});

const name = (n: number): Buffer => Buffer.alloc(32, n);

/** The pieces of a page that lies as in a slot. */
function pieces(memory: ArrayBufferLike, at: number): Uint8Array[] {
  return MEMORY.pieces.map(({ start }) => new Uint8Array(memory, at + start, PIECE));
}

/** The same bytes for the same number. */
function page(n: number): Uint8Array[] {
  const all = pieces(new ArrayBuffer(SPREAD), 0);
  for (const [i, piece] of all.entries()) piece.fill(n + i);
  return all;
}

/** Reads to the place of the block's number; what is there is looked at afterwards. */
async function readPage(block: number, n: number): Promise<[string, Uint8Array[]]> {
  const at = block * SPREAD;
  const shared = MEMORY.memories[0] as SharedArrayBuffer;
  new Uint8Array(shared, at, SPREAD).fill(255);
  const error = await swap.read(block, name(n), { memory: MEMORY, at });
  const gaps = MEMORY.pieces.map(({ start }) => new Uint8Array(shared, at + start + PIECE, PIECE));
  expect(gaps.every((gap) => gap.every((byte) => byte === 255))).toBe(true);
  return [error, pieces(shared, at).map((piece) => piece.slice())];
}

/** A place that nothing was read to. */
const UNTOUCHED = Array.from({ length: PIECES }, () => new Uint8Array(PIECE).fill(255));

test("gives back what it was given, and has its size from the first moment", async () => {
  expect(swap.blocks).toBe(10);
  const { size, blocks, mode } = await stat(path);
  expect(size).toBe(10 * STRIDE);
  expect(blocks * 512).toBeGreaterThanOrEqual(size);
  expect(mode & 0o777).toBe(0o600);
  const written = [3, 1, 9].map((block) => swap.write(block, name(block), page(block)));
  expect(await Promise.all(written)).toEqual(["", "", ""]);
  for (const block of [1, 9, 3]) expect(await readPage(block, block)).toEqual(["", page(block)]);
});

test("takes the bytes of a write at once", async () => {
  const bytes = page(5);
  const written = swap.write(0, name(5), bytes);
  for (const piece of bytes) piece.fill(0);
  expect(await written).toBe("");
  expect(await readPage(0, 5)).toEqual(["", page(5)]);
});

test("refuses writes while too many wait, and takes them afterwards", async () => {
  const bytes = page(1);
  const writes = Array.from({ length: 2000 }, () => swap.write(2, name(1), bytes));
  const errors = await Promise.all(writes);
  const taken = errors.filter((error) => error === "").length;
  expect(new Set(errors)).toEqual(new Set(["", "busy"]));
  expect(taken * PAGE).toBeLessThanOrEqual(32 * 2 ** 20);
  expect(await swap.write(2, name(1), bytes)).toBe("");
  expect(await readPage(2, 1)).toEqual(["", page(1)]);
});

test("a page of another name, or none, is bad", async () => {
  await swap.write(4, name(4), page(4));
  expect((await readPage(4, 5))[0]).toBe("bad page");
  expect((await readPage(5, 5))[0]).toBe("bad page");
  expect((await readPage(5, 0))[0]).toBe("bad page");
});

test("a flipped bit is found wherever it is", async () => {
  for (const [where, at] of [
    ["the page's first byte", 0],
    ["the page's last byte", PAGE - 1],
    ["the name", PAGE + 7],
    ["the length", PAGE + 33],
    ["the checksum", PAGE + 38],
  ] as const) {
    await swap.write(4, name(4), page(4));
    const file = await open(path, "r+");
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, 4 * STRIDE + at);
    byte[0] = (byte[0] ?? 0) ^ 16;
    await file.write(byte, 0, 1, 4 * STRIDE + at);
    await file.close();
    expect(await readPage(4, 4), where).toEqual(["bad page", UNTOUCHED]);
  }
});

test("a block that holds half of another write is bad", async () => {
  await swap.write(4, name(4), page(4));
  const file = await open(path, "r+");
  await file.write(Buffer.alloc(PAGE / 2), 0, PAGE / 2, 4 * STRIDE);
  await file.close();
  expect(await readPage(4, 4)).toEqual(["bad page", UNTOUCHED]);
});

test("a file that was cut short has bad pages", async () => {
  await swap.write(9, name(9), page(9));
  // What a thread's buffer holds from before is no page of the file's.
  expect((await readPage(9, 9))[0]).toBe("");
  await truncate(path, 9 * STRIDE + 100);
  expect((await readPage(9, 9))[0]).toBe("bad page");
  await truncate(path, 0);
  expect((await readPage(9, 9))[0]).toBe("bad page");
});

test("a file that is there is kept when its size is right, and made anew otherwise", async () => {
  await swap.write(7, name(7), page(7));
  await swap.close();
  swap = await SwapFile.open(path, 10 * STRIDE, PAGES);
  expect(await readPage(7, 7)).toEqual(["", page(7)]);
  await swap.close();
  swap = await SwapFile.open(path, 11 * STRIDE, PAGES);
  expect((await readPage(7, 7))[0]).toBe("bad page");
});

test("goes on when the file is removed, and begins a new one next time", async () => {
  await swap.write(7, name(7), page(7));
  await rm(join(home, "made"), { recursive: true });
  expect(await swap.write(8, name(8), page(8))).toBe("");
  expect(await readPage(7, 7)).toEqual(["", page(7)]);
  await swap.close();
  swap = await SwapFile.open(path, 10 * STRIDE, PAGES);
  expect((await readPage(7, 7))[0]).toBe("bad page");
});

test("pages that are read together come each to its place, and a bad one spoils no other", async () => {
  const all = [2, 3, 4, 5, 6, 9, 0, 1];
  await Promise.all(all.map((block) => swap.write(block, name(block), page(block))));
  const file = await open(path, "r+");
  await file.write(Buffer.alloc(1), 0, 1, 4 * STRIDE + 5);
  await file.close();
  const read = await Promise.all(all.map((block) => readPage(block, block)));
  for (const [i, block] of all.entries()) {
    expect(read[i]).toEqual(block === 4 ? ["bad page", UNTOUCHED] : ["", page(block)]);
  }
  await truncate(path, 9 * STRIDE + 100);
  const cut = await Promise.all([8, 9].map((block) => readPage(block, block)));
  expect(cut.map(([error]) => error)).toEqual(["bad page", "bad page"]);
});

test("closing waits for what is under way", async () => {
  const written = swap.write(3, name(3), page(3));
  const read = readPage(3, 3);
  await swap.close();
  // Nothing is still to come: both are settled by now.
  const pending = new Promise((resolve) => setImmediate(resolve, "pending"));
  expect(await Promise.race([written, pending])).toBe("");
  expect(await Promise.race([read.then(([error]) => error), pending])).toMatch(/^(bad page)?$/);
});

test("a place in other memory is none", () => {
  const place = { memory: { ...MEMORY }, at: 0 };
  expect(() => swap.read(0, name(0), place)).toThrow(/other memory/);
});

test("a closed file says so in words", async () => {
  await swap.close();
  expect(await swap.write(0, name(0), page(0))).toBe("the swap file is closed");
  expect((await readPage(0, 0))[0]).toBe("the swap file is closed");
});

test("what can be no swap file is refused with a type", async () => {
  const refused = async (where: string, size: number, code: string) =>
    expect(SwapFile.open(where, size, PAGES)).rejects.toMatchObject({ code });
  await refused(join(home, "small"), STRIDE - 1, "EINVAL");
  await mkdir(join(home, "folder"));
  await refused(join(home, "folder"), STRIDE, "EINVAL");
  await writeFile(join(home, "file"), "");
  await refused(join(home, "file", "swap"), STRIDE, "EINVAL");
  await refused("/dev/null", STRIDE, "EINVAL");
  await refused("/proc/contix-swap/model.swap", STRIDE, "EIO");
});

const run = promisify(execFile);
const root = process.getuid?.() === 0 && process.platform === "linux";

test.skipIf(!root)("a full disk and a read-only one are refused with a type", async () => {
  const disk = join(home, "disk");
  await mkdir(disk);
  const mounted = await run("mount", ["-t", "tmpfs", "-o", "size=1m", "none", disk]).catch(
    () => {},
  );
  // Not every machine lets its root mount.
  if (mounted === undefined) return;
  try {
    const size = 100 * STRIDE;
    const place = join(disk, "model.swap");
    await expect(SwapFile.open(place, size, PAGES)).rejects.toMatchObject({ code: "ENOSPC" });
    await expect(stat(place)).rejects.toMatchObject({ code: "ENOENT" });
    // A file whose space was never taken: the disk is full when it is needed.
    await writeFile(join(disk, "filler"), randomBytes(900_000));
    const small = await SwapFile.open(place, 2 * STRIDE, PAGES);
    expect(await small.write(1, name(1), page(1))).toBe("");
    await small.close();
    await run("mount", ["-o", "remount,ro", disk]);
    await expect(SwapFile.open(place, 2 * STRIDE, PAGES)).rejects.toMatchObject({ code: "EACCES" });
  } finally {
    await run("umount", [disk]);
  }
});

import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DownloadOptions, download } from "./download.js";
import { joined, PartialFile, type Span } from "./download-partial.js";
import { type Behaviour, TestHub } from "./testing/hub.js";

const SIZE = 300_000;
const content = Buffer.alloc(SIZE, createHash("sha512").update("content").digest());

let root: string;
let path: string;
let hub: TestHub;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "contix-download-"));
  path = join(root, "file.part");
  hub = await serving(content);
});
afterEach(async () => {
  await hub[Symbol.asyncDispose]();
  await rm(root, { recursive: true });
});

function serving(file: Buffer): Promise<TestHub> {
  return TestHub.start({ repo: "a/b", commit: "c", files: { file } });
}

async function run(more: Partial<DownloadOptions> = {}, size = SIZE): Promise<Buffer> {
  await using partial = await PartialFile.open(path, size);
  await download(`${hub.url}/a/b/resolve/c/file`, partial, {
    connectMs: 2_000,
    stallMs: 150,
    tries: 3,
    retryMs: 1,
    connections: 3,
    rangeBytes: 64_000,
    ...more,
  });
  return readFile(path);
}

const failure = (more: Partial<DownloadOptions> = {}, size = SIZE) =>
  run(more, size).then(
    () => "none",
    (error) => error,
  );

const times = (n: number, behaviour: Behaviour) => hub.script.push(...Array(n).fill(behaviour));

describe("download", () => {
  it("asks for ranges at once, each byte once", async () => {
    const seen: number[] = [];
    expect((await run({ onBytes: (done) => seen.push(done) })).equals(content)).toBe(true);
    expect(new Set(hub.ranges)).toEqual(
      new Set(
        ["0-63999", "64000-127999", "128000-191999", "192000-255999", "256000-299999"].map(
          (r) => `bytes=${r}`,
        ),
      ),
    );
    expect(seen.at(-1)).toBe(SIZE);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  it("asks for a small file whole, and takes a whole file where ranges are not known", async () => {
    expect((await run({ rangeBytes: 1 << 20 })).equals(content)).toBe(true);
    expect(hub.ranges).toEqual([undefined]);
    await PartialFile.remove(path);
    hub.ranges.length = 0;
    times(9, { kind: "whole" });
    expect((await run()).equals(content)).toBe(true);
    expect(hub.ranges).toEqual(["bytes=0-63999"]);
  });

  it("survives cuts, stalls, trickles, short and shifted answers, and a server in trouble", async () => {
    const bad: Behaviour[] = [
      { kind: "cut", after: 30_000 },
      { kind: "stall", after: 20_000 },
      { kind: "short", by: 5_000 },
      { kind: "status", status: 503 },
      { kind: "trickle", everyMs: 5 },
      { kind: "shift", by: 10 },
      { kind: "status", status: 500 },
      { kind: "status", status: 429, retryAfter: "0" },
    ];
    for (const behaviour of bad) {
      await PartialFile.remove(path);
      hub.script.length = 0;
      hub.script.push({ kind: "ok" }, behaviour);
      expect((await run()).equals(content), behaviour.kind).toBe(true);
      hub.script.length = 0;
      times(20, behaviour);
      // Some bytes come each time from those that cut, so they may get there in the end.
      const end = await failure({ tries: 2, connections: 1 });
      if (Buffer.isBuffer(end)) expect(end.equals(content)).toBe(true);
    }
  });

  it("gives up with the reason when nothing comes", async () => {
    const cases: [Behaviour, object][] = [
      [
        { kind: "stall", after: 0 },
        { code: "ETIMEDOUT", message: /stalled for 0.15 s/ },
      ],
      [
        { kind: "trickle", everyMs: 40 },
        { code: "ETIMEDOUT", message: /stalled/ },
      ],
      [{ kind: "cut", after: 0 }, { code: "EIO" }],
      [
        { kind: "shift", by: 7 },
        { code: "EIO", message: /were asked for/ },
      ],
      [
        { kind: "status", status: 500 },
        { code: "EIO", message: /says 500/ },
      ],
      [
        { kind: "status", status: 401 },
        { code: "EACCES", message: /set HF_TOKEN/ },
      ],
      [
        { kind: "status", status: 403 },
        { code: "EACCES", message: /gated/ },
      ],
      [
        { kind: "status", status: 404 },
        { code: "ENOENT", message: /says 404/ },
      ],
      [
        { kind: "status", status: 416 },
        { code: "ENOENT", message: /says 416/ },
      ],
      [
        { kind: "status", status: 429, retryAfter: "3600" },
        { code: "EAGAIN", retryAfterUs: 3.6e9 },
      ],
      [
        { kind: "status", status: 503, retryAfter: "900" },
        { code: "EAGAIN", retryAfterUs: 9e8 },
      ],
      [{ kind: "loop" }, { code: "EIO", message: /redirect count exceeded/ }],
      [
        { kind: "claim", length: SIZE + 1 },
        { code: "ENOENT", message: /another file: 300001 bytes, expected 300000/ },
      ],
      [
        { kind: "claim", length: 7 },
        { code: "ENOENT", message: /another file: 7 bytes/ },
      ],
    ];
    for (const [behaviour, expected] of cases) {
      hub.script.length = 0;
      times(9, behaviour);
      const { message, ...facts } = expected as { message?: RegExp };
      const error = await failure();
      expect(error, JSON.stringify(behaviour)).toMatchObject(facts);
      if (message) expect(error.message).toMatch(message);
    }
    hub.silent = true;
    expect(await failure({ connectMs: 50 })).toMatchObject({
      code: "ETIMEDOUT",
      message: "no answer within 0.05 s",
    });
    await hub[Symbol.asyncDispose]();
    expect(await failure()).toMatchObject({
      code: "EIO",
      message: expect.stringMatching(/ECONNREFUSED/),
    });
  });

  it("believes no length: neither a shorter nor a longer body passes for the file", async () => {
    for (const by of [-1, -50_000]) {
      times(9, { kind: "short", by });
      const error = await failure({ rangeBytes: 1 << 20, connections: 1 });
      expect(error).toMatchObject({
        code: "ENOENT",
        message: expect.stringMatching(/does not end at byte 300000/),
      });
      await PartialFile.remove(path);
      hub.script.length = 0;
    }
    times(9, { kind: "short", by: 64_000 });
    expect(await failure({ connections: 1 })).toMatchObject({
      code: "EIO",
      message: expect.stringMatching(/sent 0 of/),
    });
  });

  it("never joins parts of two contents", async () => {
    const other = Buffer.alloc(SIZE, 9);
    hub.script.push({ kind: "ok" }, { kind: "change", content: other });
    const notes: string[] = [];
    expect((await run({ connections: 1, onNote: (line) => notes.push(line) })).equals(other)).toBe(
      true,
    );
    expect(notes).toEqual(["the file has changed on the server; starting over"]);
    await PartialFile.remove(path);
    for (let i = 0; i < 9; i++) {
      hub.script.push({ kind: "ok" }, { kind: "change", content: Buffer.alloc(SIZE, i) });
    }
    expect(await failure({ connections: 1 })).toMatchObject({
      message: "the file changes all the time",
    });
  });

  it("leaves parts when it is aborted, and goes on from them", async () => {
    const stop = new AbortController();
    times(9, { kind: "stall", after: 10_000 });
    const aborted = failure({ signal: stop.signal, onBytes: () => stop.abort() });
    expect(await aborted).toMatchObject({ name: "AbortError" });
    hub.script.length = 0;
    hub.ranges.length = 0;
    await using partial = await PartialFile.open(path, SIZE);
    const { received } = partial;
    expect(received).toBeGreaterThan(0);
    expect((await run()).equals(content)).toBe(true);
    const asked = hub.ranges.map((range) => range?.match(/\d+/g)?.map(Number) ?? []);
    const bytes = asked.reduce((sum, [from = 0, to = 0]) => sum + to + 1 - from, 0);
    expect(bytes).toBe(SIZE - received);
  });

  it("comes to the whole file whatever breaks, wherever", { timeout: 60_000 }, async () => {
    const behaviour = fc.oneof(
      fc.record({ kind: fc.constant("cut" as const), after: fc.integer({ min: 0, max: 70_000 }) }),
      fc.record({ kind: fc.constant("short" as const), by: fc.integer({ min: 0, max: 70_000 }) }),
      fc.constant({ kind: "whole" as const }),
      fc.constant({ kind: "ok" as const }),
      fc.constant({ kind: "status" as const, status: 502 }),
    );
    const script = fc.array(behaviour, { maxLength: 12 });
    const size = fc.integer({ min: 1, max: SIZE });
    await fc.assert(
      fc.asyncProperty(
        size,
        script,
        fc.integer({ min: 1, max: 5 }),
        async (length, bad, connections) => {
          await using other = await serving(content.subarray(0, length));
          other.script.push(...bad);
          await PartialFile.remove(path);
          const own = hub;
          hub = other;
          try {
            const got = await run({ tries: 30, connections, stallMs: 5_000 }, length);
            expect(got.equals(content.subarray(0, length))).toBe(true);
          } finally {
            hub = own;
          }
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe("a partial file", () => {
  it("forgets what is of another size, damaged, or more than there is", async () => {
    const note = (have: unknown, size = SIZE, tag: unknown = "t") =>
      writeFile(`${path}.json`, JSON.stringify({ format: 1, size, tag, have }));
    const received = async () => {
      await using partial = await PartialFile.open(path, SIZE);
      return partial.received;
    };
    const file = () => writeFile(path, Buffer.alloc(500));
    for (const write of [
      () => note([[0, 400]], 7),
      () => note([[0, 501]]),
      () => note([[4, 4]]),
      () => note([[0, "x"]]),
      () => note([[0, 400]], SIZE, 5),
      () => writeFile(`${path}.json`, "{"),
    ]) {
      await file();
      await write();
      expect(await received()).toBe(0);
    }
    await file();
    await note([
      [100, 400],
      [0, 50],
    ]);
    expect(await received()).toBe(350);
  });

  it("joins spans as a set of bytes does", () => {
    const span = fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 40 }));
    fc.assert(
      fc.property(fc.array(span, { maxLength: 15 }), (spans) => {
        let have: Span[] = [];
        const bytes = new Set<number>();
        for (const [from, to] of spans) {
          have = joined(have, [from, to]);
          for (let i = from; i < to; i++) bytes.add(i);
        }
        const listed = have.flatMap(([from, to]) =>
          Array.from({ length: to - from }, (_, i) => from + i),
        );
        expect(listed).toEqual([...bytes].sort((a, b) => a - b));
        for (const [i, [, to]] of have.entries()) expect(to).toBeLessThan(have[i + 1]?.[0] ?? 99);
      }),
    );
  });
});

/** Reads and writes of the swap file, as plans order them. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { PageRead, Plan } from "../../../proto/gen/contix/driver/v1/llm.js";
import { HashModel } from "./testing/hash-model.js";
import { MemorySwap } from "./testing/memory-swap.js";
import { Bench, bind, burst } from "./testing/plans.js";

const SHAPE = { slots: 3, slotTokens: 64, vocab: 64, eosIds: [], frames: 4 };
const TOLD = Array.from({ length: 50 }, (_, i) => (i * 7) % 64);

/** Reads and writes wait here until the test lets them go on. */
class Gate {
  #waiting: (() => void)[] = [];
  closed = false;

  readonly pass = (): Promise<void> =>
    new Promise((resolve) => {
      if (this.closed) this.#waiting.push(resolve);
      else setImmediate(resolve);
    });

  open(): void {
    this.closed = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

let gate: Gate;
let swap: MemorySwap;
let bench: Bench;

const name = (n: number): Buffer => Buffer.alloc(32, n);
const read = (slot: number, page: number, fields: Partial<PageRead> = {}): PageRead => ({
  slot,
  start: page * 16,
  block: page,
  name: name(page),
  tokens: TOLD.slice(page * 16, page * 16 + 16),
  ...fields,
});

/** Three pages of what is told are in the swap file, from slot 0. */
beforeEach(async () => {
  gate = new Gate();
  swap = new MemorySwap(8, gate.pass);
  bench = new Bench({ model: new HashModel(SHAPE), swap });
  const chunk = { burst: 1n, slot: 0, start: 0, tokens: TOLD, sample: false };
  await bench.run({ binds: [bind(0, 0, { burst: burst({ genStart: 50 }) })], chunks: [chunk] });
  await bench.run({
    saves: [0, 1, 2].map((page) => ({ slot: 0, start: page * 16, count: 16, frame: page })),
    writes: [0, 1, 2].map((page) => ({ frame: page, block: page, name: name(page) })),
  });
  const done = (await bench.untilPages(3)).splice(0);
  expect(done.map(({ block, write, error }) => [block, write, error])).toEqual([
    [0, true, ""],
    [1, true, ""],
    [2, true, ""],
  ]);
});
afterEach(() => bench.stop().catch(() => {}));

/** The token that follows all that is told, when the first `keep` tokens are in the slot. */
async function next(slot: number, keep: number, id: bigint): Promise<number | undefined> {
  bench.sampled.length = 0;
  await bench.run(follow(slot, keep, id));
  return bench.sampled[0];
}

function follow(slot: number, keep: number, id: bigint): Partial<Plan> {
  return {
    binds: [bind(slot, keep, { burst: burst({ id, genStart: 50 }) })],
    chunks: [{ burst: id, slot, start: keep, tokens: TOLD.slice(keep), sample: true }],
  };
}

const errors = () => bench.pages.map(({ start, error }) => [start, error]);

test("pages read into a slot are what was computed", async () => {
  const want = await next(2, 0, 2n);
  await bench.run({ reads: [read(1, 0), read(1, 1), read(1, 2)] });
  expect((await bench.untilPages(3)).every(({ slot, error }) => slot === 1 && error === "")).toBe(
    true,
  );
  expect(await next(1, 48, 3n)).toBe(want);
});

test("a bind, a copy and a save of a slot that is being read wait for the read", async () => {
  const want = await next(2, 0, 2n);
  for (const plan of [
    follow(1, 32, 3n),
    { copies: [{ fromSlot: 1, toSlot: 0, tokens: 32 }], ...follow(0, 32, 4n) },
    { saves: [{ slot: 1, start: 16, count: 16, frame: 3 }], ...follow(1, 32, 5n) },
    follow(1, 7, 6n),
  ]) {
    await bench.run({ binds: [bind(1, 0)] });
    gate.closed = true;
    bench.pages.length = 0;
    await bench.run({ reads: [read(1, 0), read(1, 1)] });
    bench.sampled.length = 0;
    bench.send(plan);
    await new Promise(setImmediate);
    expect(bench.pages).toEqual([]);
    expect(bench.sampled).toEqual([]);
    gate.open();
    await bench.until(() => bench.sampled.length > 0);
    await bench.untilPages(2);
    expect(errors()).toEqual([
      [0, ""],
      [16, ""],
    ]);
    expect(bench.sampled).toEqual([want]);
  }
});

test("steps go on beside a read", async () => {
  gate.closed = true;
  await bench.run({ reads: [read(1, 0)] });
  expect(await next(2, 0, 2n)).toBeDefined();
  expect(bench.pages).toEqual([]);
  gate.open();
  await bench.untilPages(1);
});

test("a page that is bad fails those behind it, and only those", async () => {
  swap.corrupt(1);
  await bench.run({ reads: [read(1, 0), read(1, 1), read(1, 2), read(2, 0)] });
  const done = await bench.untilPages(4);
  expect(done.map(({ slot, start, error }) => `${slot} ${start} ${error}`).sort()).toEqual([
    "1 0 ",
    "1 16 bad page",
    "1 32 bad page",
    "2 0 ",
  ]);
  const want = await next(2, 16, 2n);
  expect(await next(1, 16, 3n)).toBe(want);
});

test("reads behind a failed one fail, also when they were ordered before that was known", async () => {
  gate.closed = true;
  await bench.run({ reads: [read(1, 0, { name: name(9) })] });
  bench.send({ reads: [read(1, 1)] });
  await new Promise(setImmediate);
  gate.open();
  await bench.untilPages(2);
  expect(errors()).toEqual([
    [0, "bad page"],
    [16, "bad page"],
  ]);
  // What failed may be tried again.
  await bench.run({ reads: [read(1, 0), read(1, 1)] });
  await bench.untilPages(4);
  expect(errors().slice(2)).toEqual([
    [0, ""],
    [16, ""],
  ]);
});

test("the end waits for what is under way", async () => {
  gate.closed = true;
  await bench.run({ reads: [read(1, 0)] });
  const stopped = bench.stop();
  setImmediate(() => gate.open());
  await stopped;
  expect(errors()).toEqual([[0, ""]]);
});

test.each<[string, Partial<Plan>]>([
  ["a read into a slot that serves a burst", { reads: [read(0, 0, { start: 48 })] }],
  ["a read behind a gap", { reads: [read(1, 1)] }],
  ["a read over what is there", { reads: [read(1, 0), read(1, 0)] }],
  ["a read of half a page", { reads: [read(1, 0, { tokens: TOLD.slice(0, 8) })] }],
  ["a read from the middle of a page", { reads: [read(1, 0, { start: 8 })] }],
  ["a read beyond the slot", { reads: [read(1, 0, { start: 64 })] }],
  ["a read into no slot", { reads: [read(3, 0)] }],
  ["a read of a block that there is not", { reads: [read(1, 0, { block: 8 })] }],
  ["a name that is too short", { reads: [read(1, 0, { name: Buffer.alloc(31) })] }],
  [
    "tokens outside the vocabulary",
    { reads: [read(1, 0, { tokens: Array.from(TOLD.slice(0, 16), () => 64) })] },
  ],
  ["a write to a block that there is not", { writes: [{ frame: 0, block: 8, name: name(0) }] }],
  ["a write of a frame that there is not", { writes: [{ frame: 4, block: 0, name: name(0) }] }],
  ["a write of a frame that holds nothing", { writes: [{ frame: 3, block: 0, name: name(0) }] }],
  [
    "two writes to one block",
    { writes: [0, 1].map((frame) => ({ frame, block: 5, name: name(5) })) },
  ],
])("a plan with %s is refused", async (_, fields) => {
  await expect(bench.run(fields)).rejects.toMatchObject({ code: "EPROTO" });
});

test("the tail of a context is not written", async () => {
  await bench.run({ saves: [{ slot: 0, start: 48, count: 2, frame: 3 }] });
  const writes = [{ frame: 3, block: 5, name: name(5) }];
  await expect(bench.run({ writes })).rejects.toMatchObject({ code: "EPROTO" });
});

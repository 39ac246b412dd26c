/** Saves and loads of plans: pages in RAM. page-mover-swap.test.ts has the swap file. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { PageLoad, PageSave, Plan } from "../../../proto/gen/contix/driver/v1/llm.js";
import { HashModel } from "./testing/hash-model.js";
import { Bench, bind, burst } from "./testing/plans.js";

const SHAPE = { slots: 3, slotTokens: 100, vocab: 64, eosIds: [], frames: 8 };
const tokens = (count: number): number[] => Array.from({ length: count }, (_, i) => (i * 7) % 64);
const TOLD = tokens(72);

let model: HashModel;
let bench: Bench;

beforeEach(async () => {
  model = new HashModel(SHAPE);
  bench = new Bench({ model });
  await bench.run(prefill(0, 70));
  model.calls.length = 0;
});
afterEach(() => bench.stop().catch(() => {}));

/** Binds a slot and fills it with the first tokens of what is told. */
function prefill(slot: number, count: number) {
  const chunk = { burst: 1n, slot, start: 0, tokens: TOLD.slice(0, count), sample: false };
  return { binds: [bind(slot, 0, { burst: burst({ genStart: 72 }) })], chunks: [chunk] };
}

const save = (start: number, count: number, frame: number, slot = 0): PageSave => ({
  slot,
  start,
  count,
  frame,
});
const load = (start: number, count: number, frame: number): PageLoad => ({
  frame,
  tokens: TOLD.slice(start, start + count),
});

/** The token that follows `TOLD` when slot has its first `length`. */
async function next(slot: number, length: number, id: bigint, loads: PageLoad[]): Promise<unknown> {
  bench.sampled.length = 0;
  const rest = { burst: id, slot, start: length, tokens: TOLD.slice(length), sample: true };
  await bench.run({
    binds: [bind(slot, 0, { burst: burst({ id, genStart: 72, maxTokens: 9 }), loads })],
    chunks: [rest],
  });
  return bench.sampled[0];
}

test("pages that follow one another move as one, the tail with them", async () => {
  await bench.run({ saves: [save(0, 16, 2), save(16, 16, 3), save(32, 6, 4), save(48, 16, 0)] });
  await bench.run({ binds: [bind(1, 0, { loads: [load(0, 16, 2), load(16, 16, 3)] })] });
  await bench.run({
    binds: [bind(2, 0, { loads: [load(0, 16, 2), load(16, 16, 3), load(32, 6, 4)] })],
  });
  expect(model.calls).toEqual([
    "save 0 0+38 to 2",
    "save 0 48+16 to 0",
    "load 2 to 1 0+32",
    "load 2 to 2 0+38",
  ]);
});

test("pages apart move apart", async () => {
  await bench.run({ saves: [save(0, 16, 5), save(16, 16, 4), save(32, 16, 6)] });
  const loads = [load(0, 16, 5), load(16, 16, 4), load(32, 3, 6)];
  await bench.run({ binds: [bind(1, 0, { loads })] });
  expect(model.calls).toEqual([
    "save 0 0+16 to 5",
    "save 0 16+16 to 4",
    "save 0 32+16 to 6",
    "load 5 to 1 0+16",
    "load 4 to 1 16+16",
    "load 6 to 1 32+3",
  ]);
});

test("what was loaded goes on as if it had been computed", async () => {
  await bench.run({ saves: [save(0, 16, 1), save(16, 16, 2), save(32, 16, 7), save(48, 16, 0)] });
  const want = await next(2, 0, 2n, []);
  const all = [load(0, 16, 1), load(16, 16, 2), load(32, 16, 7), load(48, 16, 0)];
  expect(await next(1, 64, 3n, all)).toBe(want);
  expect(await next(1, 53, 4n, [...all.slice(0, 3), load(48, 5, 0)])).toBe(want);
});

test("loads go behind what is kept, and tokens of a burst in them are its own", async () => {
  await bench.run({ saves: [save(16, 16, 1)] });
  const spec = burst({ id: 5n, genStart: 20, presencePenalty: 1 });
  const row = { burst: 5n, slot: 0, forcedStart: 32, forced: [7], sample: true };
  await bench.run({
    binds: [bind(0, 16, { burst: spec, loads: [load(16, 16, 1)] })],
    rows: [row],
  });
  const [loaded] = bench.sampled.splice(0);
  const forced = [...TOLD.slice(20, 32), 7];
  const chunk = { burst: 6n, slot: 1, start: 0, tokens: TOLD.slice(0, 32), sample: false };
  // The same, but for the burst's state, which is fed token by token.
  await bench.run({
    binds: [bind(1, 0, { burst: burst({ genStart: 32, id: 6n }) })],
    chunks: [chunk],
  });
  await bench.run({
    binds: [bind(1, 32, { burst: { ...spec, id: 7n } })],
    rows: [{ burst: 7n, slot: 1, forcedStart: 20, forced, sample: true }],
  });
  expect(bench.sampled).toEqual([loaded]);
});

test("a slot that was saved from may be cut in the same plan", async () => {
  await bench.run({ saves: [save(0, 16, 1), save(64, 6, 2)], binds: [bind(0, 0)] });
  await bench.run({ binds: [bind(1, 0, { loads: [load(0, 16, 1)] })] });
  expect(model.calls).toEqual(["save 0 0+16 to 1", "save 0 64+6 to 2", "load 1 to 1 0+16"]);
});

const loads = (...loads: PageLoad[]): Partial<Plan> => ({ binds: [bind(1, 0, { loads })] });

test.each<[string, Partial<Plan>]>([
  ["positions that the slot does not have", { saves: [save(64, 7, 0)] }],
  ["a page that begins in the middle", { saves: [save(8, 8, 0)] }],
  ["a page of nothing", { saves: [save(0, 0, 0)] }],
  ["more than a page", { saves: [save(0, 17, 0)] }],
  ["a frame that there is not", { saves: [save(0, 16, 8)] }],
  ["a slot that there is not", { saves: [save(0, 16, 0, 3)] }],
  ["two pages in one frame", { saves: [save(0, 16, 1), save(16, 16, 1)] }],
  ["a frame that holds nothing", loads(load(0, 16, 5))],
  ["a page at another position", loads(load(0, 16, 0), load(0, 16, 0))],
  ["other tokens than the frame's", loads(load(16, 16, 0))],
  ["more tokens than the frame's", loads(load(0, 16, 0), load(16, 7, 1))],
  ["a short page before another", loads(load(0, 9, 0), load(16, 6, 1))],
  ["a load of nothing", loads(load(0, 0, 0))],
  ["a frame beyond the last", loads(load(0, 16, 8))],
  ["tokens outside the vocabulary", loads({ frame: 0, tokens: tokens(16).map(() => 64) })],
  ["a load behind half a page", { binds: [bind(0, 8, { loads: [load(0, 16, 0)] })] }],
  ["a write without a swap file", { writes: [{ frame: 0, block: 0, name: Buffer.alloc(32) }] }],
])("a plan with %s is refused", async (_, fields) => {
  await bench.run({ saves: [save(0, 16, 0), save(16, 6, 1)] });
  await expect(bench.run(fields)).rejects.toMatchObject({ code: "EPROTO" });
});

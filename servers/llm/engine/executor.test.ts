/** What the executor makes of plans: tokens that enter, bursts that begin, move and end. */
import { expect, test } from "vitest";
import type { Outcome } from "../../../proto/gen/contix/driver/v1/llm.js";
import { Executor } from "./executor.js";
import { letters } from "./testing/hash-model.js";
import { bind, chunk, PROMPT, plan, row, run, ScriptModel, SHAPE } from "./testing/scripted.js";

const rowsOf = (outcomes: Outcome[]) => outcomes.flatMap(({ rows }) => rows);
const sampled = (outcomes: Outcome[]) => rowsOf(outcomes).flatMap((row) => row.sampled);
const text = (outcomes: Outcome[]) =>
  rowsOf(outcomes)
    .map((row) => row.text)
    .join("");
const ends = (outcomes: Outcome[]) =>
  rowsOf(outcomes).flatMap(({ finish, stop }) => (finish === "" ? [] : [[finish, stop]]));

test("a sampled chunk decodes from the next step of its plan on", async () => {
  const model = new ScriptModel([0, 0, 0, 0, 17, 18, 19]);
  const outcomes = await run(
    model,
    plan({ steps: 3, binds: [bind(2, 0, {})], chunks: [chunk(2)] }),
  );
  expect(model.calls).toEqual(["prefill 2 0+4 logits", "decode 2:17", "decode 2:18"]);
  expect(sampled(outcomes)).toEqual([17, 18, 19]);
  expect(outcomes.map(({ step, last }) => [step, last])).toEqual([
    [0, false],
    [1, false],
    [2, true],
  ]);
  expect(rowsOf(outcomes).map(({ length }) => length)).toEqual([4, 5, 6]);
});

test("the end token is reported and gives no text; what was held back comes with it", async () => {
  const model = new ScriptModel([0, 0, 0, 0, 17, 18, 60, 19]);
  const outcomes = await run(
    model,
    plan({ steps: 9, binds: [bind(0, 0, {})], chunks: [chunk(0)] }),
  );
  expect(sampled(outcomes)).toEqual([17, 18, 60]);
  expect(text(outcomes)).toBe("bc");
  expect(ends(outcomes)).toEqual([["eos", ""]]);
  expect(outcomes.at(-1)).toMatchObject({ step: 2, last: true });
});

test("ignore_eos goes on over the end token", async () => {
  const model = new ScriptModel([0, 0, 0, 0, 17, 60, 19, 20]);
  const binds = [bind(0, 0, { ignoreEos: true, maxTokens: 3 })];
  const outcomes = await run(model, plan({ steps: 9, binds, chunks: [chunk(0)] }));
  expect(sampled(outcomes)).toEqual([17, 60, 19]);
  expect(ends(outcomes)).toEqual([["length", ""]]);
});

test("text ends before a stop string that spans tokens; its tokens stay", async () => {
  const model = new ScriptModel([0, 0, 0, 0, 17, 19, 20, 22, 23, 25]);
  const binds = [bind(0, 0, { stop: ["degh", "eg"] })];
  const outcomes = await run(model, plan({ steps: 9, binds, chunks: [chunk(0)] }));
  expect(sampled(outcomes)).toEqual([17, 19, 20, 22]);
  expect(rowsOf(outcomes).map((row) => row.text)).toEqual(["b", "", "", "d"]);
  expect(ends(outcomes)).toEqual([["stop", "eg"]]);
});

test("a burst ends with its slot", async () => {
  const model = new ScriptModel([]);
  const outcomes = await run(
    model,
    plan({ steps: 99, binds: [bind(0, 0, {})], chunks: [chunk(0)] }),
  );
  expect(sampled(outcomes).length).toBe(SHAPE.slotTokens - PROMPT.length);
  expect(ends(outcomes)).toEqual([["length", ""]]);
});

test("a prompt as long as the slot gives no token", async () => {
  const tokens = Array.from({ length: SHAPE.slotTokens }, () => 1);
  const binds = [bind(0, 0, { genStart: tokens.length })];
  const outcomes = await run(
    new ScriptModel([]),
    plan({ steps: 9, binds, chunks: [chunk(0, { tokens })] }),
  );
  expect(sampled(outcomes)).toEqual([]);
  expect(ends(outcomes)).toEqual([["length", ""]]);
});

test("forced tokens of the burst feed its text in silence", async () => {
  const script = [0, 0, 0, 0, 17, 19, 20, 22];
  const binds = [bind(0, 0, { stop: ["de"] })];
  const rows = [row(0, { forcedStart: 4, forced: [17, 19] })];
  const outcomes = await run(
    new ScriptModel(script),
    plan({ binds, chunks: [chunk(0, { sample: false })] }),
    plan({ steps: 9, rows }),
  );
  expect(sampled(outcomes)).toEqual([20]);
  expect(text(outcomes)).toBe("");
  expect(ends(outcomes)).toEqual([["stop", "de"]]);
});

test("so do those in a chunk, where all ways in are one", async () => {
  const script = [0, 0, 0, 0, 17, 19, 20, 22];
  const binds = [bind(0, 0, { stop: ["de"] })];
  const again = chunk(0, { tokens: [...PROMPT, 17, 19] });
  const outcomes = await run(
    new ScriptModel(script, true),
    plan({ steps: 9, binds, chunks: [again] }),
  );
  expect(sampled(outcomes)).toEqual([20]);
  expect(text(outcomes)).toBe("");
  expect(ends(outcomes)).toEqual([["stop", "de"]]);
});

test("a chunk enters no token that its burst has just sampled", async () => {
  const model = new ScriptModel([0, 0, 0, 0, 17, 19], true);
  const begun = plan({ binds: [bind(0, 0, {})], chunks: [chunk(0)] });
  const over = plan({ chunks: [chunk(0, { start: 4, tokens: [17, 19] })] });
  await expect(run(model, begun, over)).rejects.toThrow(/beyond gen_start 4/);
});

test("a bind rebuilds the burst's state from the tokens that it keeps", async () => {
  const script = [0, 0, 0, 0, 17, 19, 20, 22];
  const stop = { stop: ["de"] };
  const outcomes = await run(
    new ScriptModel(script),
    plan({ steps: 3, binds: [bind(0, 0, stop)], chunks: [chunk(0)] }),
    plan({ binds: [bind(0, 6, { id: 2n, stop: ["deg"] })] }),
    plan({ rows: [{ ...row(0, { forcedStart: 6, forced: [20] }), burst: 2n }] }),
  );
  expect(ends(outcomes)).toEqual([
    ["stop", "de"],
    ["stop", "deg"],
  ]);
});

test("a bind that cuts gives back the room", async () => {
  const model = new ScriptModel([]);
  await run(
    model,
    plan({ steps: 3, binds: [bind(0, 0, {})], chunks: [chunk(0)] }),
    plan({ binds: [bind(0, 2)] }),
    plan({
      binds: [bind(0, 2, { id: 2n })],
      chunks: [chunk(0, { burst: 2n, start: 2, tokens: [5, 6], sample: false })],
    }),
  );
  expect(model.calls.at(-1)).toBe("prefill 0 2+2");
});

test("work that is done is skipped, its row goes on", async () => {
  const model = new ScriptModel([0, 0, 0, 0, 17, 18, 19]);
  const again = { steps: 2, chunks: [chunk(1)] };
  const outcomes = await run(model, plan({ ...again, binds: [bind(1, 0, {})] }), plan(again));
  expect(model.calls).toEqual([
    "prefill 1 0+4 logits",
    "decode 1:17",
    "decode 1:18",
    "decode 1:19",
  ]);
  expect(sampled(outcomes)).toEqual([17, 18, 19, 1]);
});

test("of a chunk that is partly in the slot the rest enters", async () => {
  const model = new ScriptModel([]);
  const half = chunk(1, { tokens: PROMPT.slice(0, 2), sample: false });
  await run(model, plan({ binds: [bind(1, 0, {})], chunks: [half] }), plan({ chunks: [chunk(1)] }));
  expect(model.calls).toEqual(["prefill 1 0+2", "prefill 1 2+2 logits"]);
});

test("rows of a burst that has ended are passed over", async () => {
  const model = new ScriptModel([0, 0, 0, 0, 60]);
  const outcomes = await run(
    model,
    plan({ binds: [bind(1, 0, {})], chunks: [chunk(1)] }),
    plan({ steps: 3, rows: [row(1)], chunks: [chunk(1)] }),
  );
  expect(model.calls.length).toBe(1);
  expect(outcomes.at(-1)).toMatchObject({ step: 0, last: true, rows: [] });
});

test("a copy to a slot that nobody binds moves the burst with all its tokens", async () => {
  const model = new ScriptModel([0, 0, 0, 0, 17, 18, 19, 20]);
  const outcomes = await run(
    model,
    plan({ steps: 3, binds: [bind(3, 0, {})], chunks: [chunk(3)] }),
    plan({ steps: 2, copies: [{ fromSlot: 3, toSlot: 0, tokens: 5 }], rows: [row(0)] }),
  );
  expect(model.calls.slice(-3)).toEqual(["copy 3 0 6", "decode 0:19", "decode 0:20"]);
  expect(rowsOf(outcomes).at(-1)).toMatchObject({ slot: 0, length: 8 });
});

test("a copy to a slot that is bound shares a prefix, and its owner goes on", async () => {
  const model = new ScriptModel([0, 0, 0, 0, 17, 18, 19, 20]);
  await run(
    model,
    plan({ steps: 2, binds: [bind(0, 0, {})], chunks: [chunk(0)] }),
    plan({
      copies: [{ fromSlot: 0, toSlot: 1, tokens: 2 }],
      binds: [bind(1, 2, { id: 2n })],
      rows: [row(0)],
      chunks: [chunk(1, { burst: 2n, start: 2, tokens: [20, 21] })],
    }),
  );
  expect(model.calls.slice(-3)).toEqual(["copy 0 1 2", "decode 0:18", "prefill 1 2+2 logits"]);
});

test("one token that was given enters by decode, and the burst samples after it", async () => {
  const model = new ScriptModel([0, 33, 34]);
  const outcomes = await run(
    model,
    plan({
      steps: 2,
      binds: [bind(0, 0, { genStart: 1 })],
      rows: [row(0, { forced: [9] })],
    }),
  );
  expect(model.calls).toEqual(["decode 0:9", "decode 0:33"]);
  expect(sampled(outcomes)).toEqual([33, 34]);
});

test("the last token of a turn enters by decode before the next turn's chunk", async () => {
  const model = new ScriptModel([0, 0, 0, 0, 17, 60]);
  await run(
    model,
    plan({ steps: 9, binds: [bind(0, 0, {})], chunks: [chunk(0)] }),
    plan({
      steps: 1,
      binds: [bind(0, 5, { id: 2n, genStart: 8 })],
      rows: [row(0, { burst: 2n, forcedStart: 5, forced: [60], sample: false })],
      chunks: [chunk(0, { burst: 2n, start: 6, tokens: [7, 8] })],
    }),
  );
  expect(model.calls.slice(-2)).toEqual(["decode 0:60", "prefill 0 6+2 logits"]);
});

test("a plan that comes during a step takes over after it, and the binds of all are done", async () => {
  const outcomes: Outcome[] = [];
  const model = new ScriptModel([]);
  const executor = new Executor({
    model,
    detokenizer: letters,
    nowUs: () => 0,
    report: (outcome) => {
      outcomes.push(outcome);
      if (outcomes.length === 2) {
        executor.submit(plan({ steps: 50, binds: [bind(0, 0)], rows: [row(1)] }));
        executor.submit(plan({ binds: [bind(1, 0)] }));
      }
      if (outcomes.length === 3) executor.stop();
    },
  });
  const binds = [bind(0, 0, {}), bind(1, 0, { id: 2n })];
  executor.submit(plan({ steps: 50, binds, chunks: [chunk(0), chunk(1, { burst: 2n })] }));
  await executor.run();
  expect(outcomes.map(({ rows, last }) => [rows.length, last])).toEqual([
    [1, false],
    [2, false],
    [0, true],
  ]);
});

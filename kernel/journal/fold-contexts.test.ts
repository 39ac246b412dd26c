/** Contexts in the fold: what a cut, a fork and a change of owner make of them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JournalRecord, Tail } from "./records.js";
import { apply, type ContextState, emptyState, type State } from "./state.js";

const SAMPLING = { temperature: 1, topK: 0, topP: 1, minP: 0 };
const sampling = { ...SAMPLING, repetitionPenalty: 1, presencePenalty: 0, seed: 5n };

const process = (pid: bigint, principal = "a"): JournalRecord => ({
  ...{ type: "proc.created", pid, parent: 0n, name: "p", principal, nice: 0 },
  ...{ spawned: false, log: "", at: 0 },
});
const created = (cid: bigint, owner = 1n): JournalRecord => ({
  ...{ type: "ctx.created", cid, owner, handle: Number(cid), model: "m", engine: "e", at: 3 },
});
const given = (cid: bigint, tokens: number[], tail: Tail = "text"): JournalRecord => ({
  ...{ type: "ctx.given", cid, tokens, tail },
});
const generated = (cid: bigint, tokens: number[]): JournalRecord => ({
  ...{ type: "ctx.generated", cid, tokens },
});
const forked = (cid: bigint, from: bigint, length: number, owner = 1n): JournalRecord => ({
  ...{ type: "ctx.forked", cid, from, owner, handle: Number(cid), length, ttlUs: 0, at: 4 },
});
const truncated = (length: number, cid = 1n): JournalRecord => ({
  ...{ type: "ctx.truncated", cid, length },
});
const asked = (cid: bigint, genStart: number): JournalRecord => ({
  ...{ type: "call.generate", pid: 1n, run: 0, seq: 1n, cid, genStart, seed: 5n, engine: "e" },
  ...{ sampling, call: new Uint8Array() },
});

function fold(...records: JournalRecord[]): State {
  const state = emptyState();
  for (const record of [process(1n), process(2n, "b"), ...records]) apply(state, record);
  return state;
}

function context(state: State, cid = 1n): ContextState {
  const found = state.contexts.get(cid);
  if (!found) throw new Error(`no context ${cid}`);
  return found;
}

const TALK = [
  created(1n),
  given(1n, [1, 2, 3], "assistant"),
  asked(1n, 3),
  generated(1n, [4, 5]),
  given(1n, [6, 7], "assistant"),
  asked(1n, 7),
  generated(1n, [8, 9]),
];

describe("a cut", () => {
  it.each([
    [9, "assistant", [0, 3, 5, 7], 7],
    [8, "assistant", [0, 3, 5, 7], 7],
    [7, "assistant", [0, 3, 5], undefined],
    [6, "text", [0, 3, 5], undefined],
    [5, "assistant", [0, 3], undefined],
    [4, "assistant", [0, 3], undefined],
    [3, "assistant", [0], undefined],
    [2, "text", [0], undefined],
    [0, "empty", [], undefined],
  ])("to %i tokens ends with %s", (length, tail, starts, last) => {
    for (const state of [fold(...TALK, truncated(length)), fold(...TALK, forked(2n, 1n, length))]) {
      const cut = context(state, state.contexts.has(2n) ? 2n : 1n);
      expect(cut.tokens).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].slice(0, length));
      expect(cut.runs.map(({ start }) => start)).toEqual(starts);
      expect([cut.tail, cut.last?.start]).toEqual([tail, last]);
    }
  });

  it("keeps the class of what is left: what comes after joins its own class only", () => {
    const after = (...records: JournalRecord[]) => context(fold(...TALK, truncated(4), ...records));
    expect(after(generated(1n, [7])).runs).toEqual([
      { start: 0, given: true },
      { start: 3, given: false },
    ]);
    expect(after(given(1n, [7])).runs).toEqual([
      { start: 0, given: true },
      { start: 3, given: false },
      { start: 4, given: true },
    ]);
  });
});

describe("a fork", () => {
  it("shares nothing with its source that may change", () => {
    const state = fold(...TALK, forked(2n, 1n, 9), given(2n, [10]), truncated(0));
    expect(context(state).tokens).toEqual([]);
    expect(context(state, 2n)).toMatchObject({ from: 1n, tail: "text", pinned: false });
    expect(context(state, 2n).tokens).toHaveLength(10);
  });

  it("of another principal's context belongs to its new owner's", () => {
    expect(context(fold(...TALK, forked(2n, 1n, 3, 2n)), 2n).principal).toBe("b");
  });

  it("of what is gone is nothing, and costs no id", () => {
    const state = fold(forked(7n, 1n, 0));
    expect(state.contexts.size + state.counters.cid).toBe(0);
  });
});

describe("an owner", () => {
  it("that gives a context away keeps nothing of it; a kept one is its principal's", () => {
    const moved = (owner: bigint, handle: number): JournalRecord => ({
      ...{ type: "ctx.moved", cid: 1n, owner, handle },
    });
    const state = fold(...TALK, process(3n), moved(3n, 4));
    expect(state.processes.get(1n)?.handles.size).toBe(0);
    const root = state.processes.get(3n)?.handles.get(4) ?? 0n;
    expect(state.caps.get(root)).toMatchObject({ object: { type: "context", id: 1n }, handle: 4 });
    expect(state.processes.get(3n)?.holds).toEqual({ contexts: 1, tokens: 9, pinnedPages: 0 });
    apply(state, moved(0n, 0));
    expect(state.processes.get(3n)?.holds.contexts).toBe(0);
    expect(state.holdings.get("a")).toEqual({ contexts: 1, tokens: 9, pinnedPages: 0 });
  });
});

it("a closed context leaves no capability behind, the owner's or a granted one", () => {
  const state = fold(...TALK, process(3n));
  const parent = context(state).cap;
  const object = { type: "context", id: 1n } as const;
  const id = BigInt(state.counters.cap + 1);
  apply(state, { type: "cap.made", id, parent, holder: 3n, handle: 9, object, rights: 1 });
  expect(state.processes.get(3n)?.handles.size).toBe(1);
  apply(state, { type: "ctx.closed", cid: 1n });
  expect(state.processes.get(1n)?.handles.size).toBe(0);
  expect(state.processes.get(3n)?.handles.size).toBe(0);
  expect([state.caps.has(parent), state.caps.has(id)]).toEqual([false, false]);
});

describe("advice", () => {
  it("holds until the next generation", () => {
    const advised: JournalRecord = {
      ...{ type: "ctx.advised", cid: 1n, need: "dontneed", pauseUs: 9, at: 2 },
    };
    const state = fold(...TALK, advised);
    expect(context(state).advice).toEqual({ need: "dontneed", pauseUs: 9, at: 2 });
    apply(state, asked(1n, 9));
    expect(context(state).advice).toBeUndefined();
  });
});

describe("the sums", () => {
  it("are what the contexts come to, whatever happened", () => {
    const cid = fc.bigInt({ min: 1n, max: 5n });
    const tokens = fc.array(fc.nat(9), { maxLength: 40 });
    const record: fc.Arbitrary<JournalRecord> = fc.oneof(
      fc.record({
        type: fc.constant("ctx.given" as const),
        cid,
        tokens,
        tail: fc.constant("text"),
      }),
      fc.record({ type: fc.constant("ctx.generated" as const), cid, tokens }),
      fc.record({ type: fc.constant("ctx.truncated" as const), cid, length: fc.nat(50) }),
      fc.record({ type: fc.constant("ctx.pinned" as const), cid, pinned: fc.boolean() }),
      fc.record({ type: fc.constant("ctx.closed" as const), cid }),
      fc
        .record({
          cid,
          owner: fc.bigInt({ min: 0n, max: 2n }),
          handle: fc.integer({ min: 1, max: 9 }),
        })
        .map((to) => ({
          ...to,
          type: "ctx.moved" as const,
          handle: to.owner === 0n ? 0 : to.handle,
        })),
    ) as fc.Arbitrary<JournalRecord>;
    fc.assert(
      fc.property(fc.array(record, { maxLength: 60 }), (records) => {
        const state = fold(created(1n), created(2n, 2n), forked(3n, 1n, 0), ...records);
        const all = [...state.contexts.values()];
        const sum = (of: ContextState[]) => ({
          contexts: of.length,
          tokens: of.reduce((total, ctx) => total + ctx.tokens.length, 0),
          pinnedPages: of.reduce(
            (total, ctx) => total + (ctx.pinned ? Math.ceil(ctx.tokens.length / 16) : 0),
            0,
          ),
        });
        for (const { pid, holds } of state.processes.values()) {
          expect(holds).toEqual(sum(all.filter(({ owner }) => owner === pid)));
        }
        for (const principal of ["a", "b"]) {
          const own = all.filter((ctx) => ctx.principal === principal);
          expect(state.holdings.get(principal)).toEqual(own.length > 0 ? sum(own) : undefined);
        }
      }),
      { numRuns: 200 },
    );
  });
});

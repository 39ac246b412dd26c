/** The pager over random contexts: nothing pinned leaves, nothing is lost, half is free. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ContixError } from "../../../proto/errno.js";
import type { Engine } from "../../engines/engine.js";
import { type Context, type Journal, memoryJournal } from "../../journal/journal.js";
import { lastAsked, located } from "./choose.js";
import { answerRoom, fit, type PagerPorts, type Tokenized } from "./pager.js";
import type { OverflowPolicy, Part, Segment } from "./segments.js";

const WINDOW = 400;
const CID = 1n;
/** A stub is this token, its handles, and this token again. */
const STUB = 900_000;

const given = fc.record({
  kind: fc.constantFrom("system", "tools", "history", "scratch"),
  role: fc.constantFrom("user", "assistant"),
  keep: fc.nat(4).map((n) => n === 0),
  tokens: fc.integer({ min: 1, max: 90 }),
  generated: fc.nat(30),
});
type Given = typeof given extends fc.Arbitrary<infer T> ? T : never;

let next = 0;
const fresh = (count: number): number[] => Array.from({ length: count }, () => ++next % 800_000);

function ports(filedTokens = 1e9): PagerPorts {
  const text = (what: { $case: string; value: { handles?: number[] } }) =>
    Promise.resolve([STUB, ...(what.value.handles ?? []), STUB]);
  const engine = { ready: { slotTokens: WINDOW }, driver: { text } };
  return {
    engine: engine as unknown as Engine,
    filedTokens,
    summarize: () => Promise.resolve(fresh(5)),
  };
}

function open(overflow: OverflowPolicy, summaries = false): Journal {
  const journal = memoryJournal();
  const made = { type: "ctx.created", cid: CID, owner: 0n, handle: 1 } as const;
  journal.append({ ...made, model: "m", engine: "e", overflow, summaries });
  return journal;
}

const theContext = (journal: Journal): Context => {
  const context = journal.state.contexts.get(CID);
  if (!context) throw new Error("no context");
  return context;
};

function input({ kind, role, keep, tokens }: Given): Tokenized {
  const part = { kind, role, pinned: keep, turn: true, tokens } as Part;
  return { tokens: fresh(tokens), tail: "closed", parts: [part] };
}

/** Fits an input in, and what it generates. The error, when it did not fit. */
async function step(journal: Journal, what: Given, filed?: number): Promise<Error | undefined> {
  const one = input(what);
  const need = {
    tokenize: async () => one,
    answer: what.generated && answerRoom(what.generated, WINDOW),
  };
  try {
    const { edit, input: made } = await fit(ports(filed), theContext(journal), need);
    if (edit) journal.append(edit);
    journal.append({ type: "ctx.given", cid: CID, ...made });
    if (edit) checkFreed(theContext(journal));
  } catch (error) {
    // What an assertion says is no refusal.
    if (!(error instanceof ContixError)) throw error;
    return error;
  }
  const room = WINDOW - theContext(journal).tokens.length;
  const tokens = fresh(Math.min(what.generated, room));
  journal.append({ type: "ctx.generated", cid: CID, tokens });
  return undefined;
}

/** Half is free, or nothing is left that may leave. */
function checkFreed({ tokens, paging }: Context): void {
  expect(tokens.length).toBeLessThan(WINDOW);
  if (tokens.length <= WINDOW / 2) return;
  // The input itself, at the end, and the last question stay.
  const before = paging.segments.slice(0, -1);
  const asked = [lastAsked(before)?.id, lastAsked(paging.segments)?.id];
  expect(before.filter(({ pinned, id }) => !pinned && !asked.includes(id))).toEqual([]);
}

/** Every segment's tokens, in the context or filed, by handle. */
function contents({ tokens, paging }: Context): Map<number, readonly number[]> {
  const all = new Map<number, readonly number[]>();
  for (const { id, start, tokens: count } of located(paging.segments)) {
    if (id > 0) all.set(id, tokens.slice(start, start + count));
  }
  for (const { id, tokens: kept } of paging.filed.values()) all.set(id, kept);
  return all;
}

const pinned = ({ paging }: Context): number[] =>
  paging.segments.flatMap((segment: Segment) =>
    segment.pinned && segment.id > 0 ? [segment.id] : [],
  );

describe.each(["oldest", "relevance"] as const)("the pager, %s", (policy) => {
  it("moves out nothing pinned, loses no token, and frees half where it can", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(given, { maxLength: 40 }), async (all) => {
        const journal = open(policy);
        for (const what of all) {
          const before = contents(theContext(journal));
          const mustStay = pinned(theContext(journal));
          const { length } = theContext(journal).tokens;
          const error = await step(journal, what);
          const context = theContext(journal);
          expect(context.tokens.length).toBeLessThanOrEqual(WINDOW);
          const sum = context.paging.segments.reduce((total, { tokens }) => total + tokens, 0);
          expect(sum).toBe(context.tokens.length);
          const after = contents(context);
          for (const [id, tokens] of before) {
            // The last answer may have grown; it lost nothing.
            expect(after.get(id)?.slice(0, tokens.length)).toEqual(tokens);
          }
          for (const id of mustStay) expect(context.paging.filed.has(id)).toBe(false);
          if (error) {
            expect(error).toMatchObject({
              code: "ENOMEM",
              message: expect.stringMatching(/\d+.*400/),
            });
            expect(context.tokens.length).toBe(length);
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  it("decides the same for the same context", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(given, { maxLength: 25 }), async (all) => {
        const states = [];
        for (let time = 0; time < 2; time++) {
          next = 0;
          const journal = open(policy);
          for (const what of all) await step(journal, what);
          states.push(journal.state);
        }
        expect(states[1]).toEqual(states[0]);
      }),
      { numRuns: 40 },
    );
  });
});

const turn = (role: "user" | "assistant", tokens: number): Given => ({
  ...{ kind: "history", role, keep: false, tokens, generated: 0 },
});

describe("an overflow", () => {
  it("goes down to half of the window at once, the oldest first, and keeps the last question", async () => {
    const journal = open("oldest");
    for (let i = 0; i < 7; i++) await step(journal, turn("user", 50));
    expect(theContext(journal).paging.filed.size).toBe(0);
    expect(await step(journal, turn("assistant", 60))).toBeUndefined();
    const { tokens, paging, runs } = theContext(journal);
    expect(tokens.length).toBeLessThanOrEqual(WINDOW / 2);
    expect([...paging.filed.keys()]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(paging.segments.map(({ id, kind }) => (id === 0 ? kind : id))).toEqual(["stub", 7, 8]);
    expect(paging.segments[0]?.stands).toEqual([1, 2, 3, 4, 5, 6]);
    expect(runs).toEqual([{ start: 0, given: true }]);
  });

  it("keeps the question that is about to be answered, however much it takes", async () => {
    const journal = open("oldest");
    for (const tokens of [50, 330]) await step(journal, turn("user", tokens));
    const tokenize = async (): Promise<Tokenized> => ({ tokens: [], tail: "closed" });
    const { edit } = await fit(ports(), theContext(journal), { tokenize, answer: 60 });
    expect(edit?.filed.map(({ id }) => id)).toEqual([1]);
    expect(edit?.segments.map(({ id, tokens }) => [id, tokens])).toContainEqual([2, 330]);
  });

  it("joins a stub with what leaves beside it", async () => {
    const journal = open("oldest");
    for (let i = 0; i < 16; i++) await step(journal, turn("user", 50));
    const stubs = theContext(journal).paging.segments.filter(({ kind }) => kind === "stub");
    expect(stubs).toHaveLength(1);
    expect(stubs[0]?.stands).toEqual([...theContext(journal).paging.filed.keys()]);
  });

  it("of relevance keeps what the question is about", async () => {
    const journal = open("relevance");
    const say = async (tokens: number[]): Promise<void> => {
      const part = { kind: "history", role: "user", pinned: false, turn: true } as const;
      const parts = [{ ...part, tokens: tokens.length }];
      const need = {
        tokenize: async () => ({ tokens, tail: "closed" as const, parts }),
        answer: 0,
      };
      const { edit, input: made } = await fit(ports(), theContext(journal), need);
      journal.append(...(edit ? [edit] : []), { type: "ctx.given", cid: CID, ...made });
    };
    await say([7, 8, 9, ...fresh(60)]);
    for (let i = 0; i < 5; i++) await say(fresh(60));
    await say([7, 8, 9, ...fresh(60)]);
    const { filed, segments } = theContext(journal).paging;
    expect(filed.has(1)).toBe(false);
    expect(segments[0]?.id).toBe(1);
    expect([...filed.keys()].slice(0, 2)).toEqual([2, 3]);
  });

  it("beyond the quota of filed tokens is EDQUOT, and changes nothing", async () => {
    const journal = open("oldest");
    for (let i = 0; i < 7; i++) await step(journal, turn("user", 50), 100);
    const { length } = theContext(journal).tokens;
    expect(await step(journal, turn("user", 60), 100)).toMatchObject({ code: "EDQUOT" });
    expect(theContext(journal).tokens.length).toBe(length);
    expect(theContext(journal).paging.filed.size).toBe(0);
  });

  it("under the policy none is ENOMEM", async () => {
    const journal = open("none");
    for (let i = 0; i < 7; i++) await step(journal, turn("user", 50));
    expect(await step(journal, turn("user", 60))).toMatchObject({ code: "ENOMEM" });
  });
});

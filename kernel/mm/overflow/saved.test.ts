/** Segments in a snapshot: they come back as they were, and what can not be is refused. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Snapshot, type SnapshotPaging } from "../../../proto/gen/contix/v1/snapshot.js";
import { type Context, memoryJournal } from "../../journal/journal.js";
import type { JournalRecord } from "../../journal/records.js";
import { readSnapshot, writeSnapshot } from "../snapshot-file.js";
import { partsOf, policyOf, savePaging, segmentsOf } from "./saved.js";
import { plainPart } from "./segments.js";

const CID = 1n;
const created = { type: "ctx.created", owner: 0n, handle: 1, model: "m", engine: "e" } as const;

function fold(...records: JournalRecord[]): Context {
  const journal = memoryJournal();
  journal.append({ ...created, cid: CID, overflow: "relevance", summaries: true }, ...records);
  const context = journal.state.contexts.get(CID);
  if (!context) throw new Error("no context");
  return context;
}

const plain = { role: "user", turn: false, pinned: false } as const;
const note = { ...plain, id: 0, kind: "stub", pinned: true, tokens: 2, copyOf: 0 } as const;

/** One text stays, one was moved out, a note stands for it. */
const edited = (): Context =>
  fold(
    {
      ...{ type: "ctx.given", cid: CID, tokens: [1, 2, 3, 4, 5], tail: "text" },
      parts: [plainPart(2), plainPart(3)],
    },
    {
      ...{ type: "ctx.edited", cid: CID, from: 0, tokens: [9, 9, 3, 4, 5], tail: "text" },
      segments: [
        { ...note, stands: [1] },
        { ...plain, id: 2, kind: "history", tokens: 3, copyOf: 0, stands: [] },
      ],
      filed: [{ id: 1, kind: "history", role: "user", turn: false, open: false, tokens: [1, 2] }],
    },
  );

function snapshotOf({ tokens, paging }: Context): Snapshot {
  const rest = { model: "m", engine: "e", vocab: 10, tail: "text", runs: [tokens.length] };
  return Snapshot.fromPartial({ ...rest, tokens: [...tokens], paging: savePaging(paging) });
}

describe("the segments of a snapshot", () => {
  it("come back as they were, and go on from there", () => {
    const context = edited();
    const read = readSnapshot(writeSnapshot(snapshotOf(context)));
    expect(policyOf(read)).toEqual({ overflow: "relevance", summaries: true });
    const paging = segmentsOf(read);
    if (!paging) throw new Error("it has no segments");
    const fill = { runs: [{ start: 0, given: true }], seams: [], last: undefined } as const;
    const back = fold(
      { type: "ctx.filled", cid: CID, tokens: read.tokens, ...fill, tail: "text", paging },
      { type: "ctx.given", cid: CID, tokens: [7], tail: "text" },
    ).paging;
    expect(back.segments.slice(0, 2)).toEqual(context.paging.segments);
    expect(back.filed).toEqual(context.paging.filed);
    expect(back.filedTokens).toBe(2);
    // A handle is never used again.
    expect(back.segments.at(-1)).toMatchObject({ id: 3, tokens: 1 });
  });

  const wrong: [string, (paging: SnapshotPaging) => void, RegExp][] = [
    ["a policy", (p) => void Object.assign(p, { overflow: "newest" }), /overflow "newest"/],
    ["a sum", (p) => void p.segments.pop(), /segments have 2 tokens, and it has 5/],
    ["a handle twice", (p) => void Object.assign(p.segments[1] ?? {}, { id: 1 }), /handles/],
    ["a handle from the future", (p) => void Object.assign(p, { nextId: 2 }), /handles/],
    ["no handles left", (p) => void Object.assign(p, { nextId: 2 ** 32 - 1 }), /handles/],
    [
      "notes for what there never was",
      (p) => {
        p.nextId = 20_000;
        const stands = Array.from({ length: 16_386 }, (_, i) => i + 1);
        Object.assign(p.segments[0] ?? {}, { stands });
      },
      /notes stand for 16386 segments, of which 1 are there/,
    ],
    ["a kind", (p) => void Object.assign(p.segments[1] ?? {}, { kind: "page" }), /segment 2/],
    ["a role", (p) => void Object.assign(p.filed[0] ?? {}, { role: "tool" }), /segment 1/],
    ["a note for nothing", (p) => void p.segments[0]?.stands.pop(), /segment 0/],
    [
      "a note that may leave",
      (p) => void Object.assign(p.segments[0] ?? {}, { pinned: false }),
      /segment 0/,
    ],
    ["an empty one", (p) => void p.filed[0]?.tokens.splice(0), /segment 1/],
    ["a token", (p) => void p.filed[0]?.tokens.push(10), /filed token 10/],
    [
      "an order",
      (p) => void p.filed.push({ ...(p.filed[0] ?? p.filed[9]), id: 1 } as never),
      /handles/,
    ],
  ];
  it.each(wrong)("are refused with %s that can not be", (_, change, message) => {
    const snapshot = snapshotOf(edited());
    if (snapshot.paging) change(snapshot.paging);
    expect(() => readSnapshot(writeSnapshot(snapshot))).toThrow(message);
  });

  it("are parts of what was given and generated where an older file has none", () => {
    const old = snapshotOf(edited());
    old.paging = undefined;
    const bytes = writeSnapshot(old);
    bytes.writeUInt32LE(1, 8);
    const head = createHash("sha256").update(bytes.subarray(0, 16)).update(bytes.subarray(48));
    head.digest().copy(bytes, 16);
    expect(segmentsOf(readSnapshot(bytes))).toBeUndefined();
    const runs = [
      { start: 0, given: true },
      { start: 6, given: false },
      { start: 8, given: true },
    ];
    const seams = [
      { at: 4, tail: "closed" },
      { at: 6, tail: "assistant" },
      { at: 10, tail: "text" },
    ] as const;
    const parts = partsOf({ tokens: Array.from({ length: 10 }, () => 1), runs, seams });
    expect(parts.map(({ role, turn, tokens }) => [role, turn, tokens])).toEqual([
      ["user", true, 4],
      ["user", true, 2],
      ["assistant", true, 2],
      ["user", false, 2],
    ]);
  });
});

describe("what is generated behind a recalled copy", () => {
  it("is a segment of its own: the copy leaves without a trace", () => {
    const copy = { ...plainPart(2), role: "assistant", copyOf: 1 } as const;
    const { segments } = fold(
      { type: "ctx.given", cid: CID, tokens: [1, 2], tail: "text", parts: [copy] },
      { type: "ctx.generated", cid: CID, tokens: [3] },
      { type: "ctx.generated", cid: CID, tokens: [4] },
    ).paging;
    expect(segments.map(({ tokens, copyOf }) => [tokens, copyOf])).toEqual([
      [2, 1],
      [2, 0],
    ]);
  });
});

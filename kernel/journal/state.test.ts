/** The state is a fold over records: what holds after any of them, in any order. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Mailbox, PipeObject } from "./fold-ipc.js";
import { sizeOf } from "./fold-mail.js";
import { hasPlace } from "./fold-procs.js";
import { memoryJournal } from "./journal.js";
import type { JournalRecord } from "./records.js";
import { apply, emptyState, type State } from "./state.js";

const pid = fc.bigInt({ min: 1n, max: 2n });
const cid = fc.bigInt({ min: 1n, max: 3n });
const seq = fc.bigInt({ min: 1n, max: 8n });
const run = fc.nat(1);
const bytes = fc.uint8Array({ maxLength: 6 });
const tokens = fc.array(fc.nat(9), { maxLength: 4 });
const tail = fc.constantFrom("empty" as const, "text" as const, "closed" as const);
const type = <T extends JournalRecord["type"]>(value: T) => fc.constant(value);

const BOX = {
  ...{ type: "mailbox" as const, maxMessages: 0, maxBytes: 0 },
  ...{ maxDeliveries: 1, deadLetters: "" },
};
const PIPE = { type: "pipe" as const, capacity: 100 };

const record: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.record({
    ...{ type: type("proc.created"), pid, parent: pid, name: fc.constant("p"), at: fc.nat() },
    ...{
      principal: fc.constant("admin"),
      nice: fc.nat(19),
      quota: fc.constantFrom(undefined, { mailboxBytes: 9 }),
      spawned: fc.boolean(),
      log: fc.constant(""),
    },
  }),
  fc.record({
    ...{ type: type("proc.run"), pid, run },
    ...{ tokenHash: fc.constantFrom("", "t"), resumeHash: fc.constantFrom("", "r") },
  }),
  fc.record({
    type: type("proc.exited"),
    pid,
    code: fc.nat(255),
    cause: fc.constant("exit"),
    at: fc.nat(),
  }),
  fc.record({ type: type("proc.reaped"), pid }),
  fc.record({
    ...{ type: type("ctx.created"), cid, owner: pid, handle: fc.nat(3) },
    ...{ model: fc.constant("m"), engine: fc.constant("e") },
  }),
  fc.record({ type: type("ctx.given"), cid, tokens, tail }),
  fc.record({ type: type("ctx.generated"), cid, tokens }),
  fc.record({ type: type("ctx.closed"), cid }),
  fc.record({ type: type("call.intent"), pid, run, seq, digest: fc.constant("d") }),
  fc.record({ type: type("call.done"), pid, run, seq, digest: fc.constant("d"), reply: bytes }),
  fc.record({
    type: type("call.acked"),
    pid,
    run,
    through: seq,
    also: fc.array(seq, { maxLength: 3 }),
  }),
  fc.record({
    type: type("mail.sent"),
    box: fc.record({ pid }),
    mail: fc.record({ id: seq, from: pid, topic: fc.constant(""), body: bytes }),
  }),
  fc.record({ type: type("mail.taken"), box: fc.record({ pid }), id: seq }),
  fc.record({
    ...{
      type: type("ipc.opened"),
      id: cid,
      principal: fc.constant("admin"),
      name: fc.constant(""),
    },
    ...{ by: pid, object: fc.constantFrom(BOX, PIPE) },
  }),
  fc.record({ type: type("ipc.removed"), id: cid }),
  fc.record({
    type: type("mail.sent"),
    box: fc.record({ id: cid }),
    mail: fc.record({ id: seq, from: pid, topic: fc.constant(""), body: bytes }),
  }),
  fc.record({ type: type("mail.taken"), box: fc.record({ id: cid }), id: seq }),
  fc.record({
    ...{ type: type("mail.died"), box: fc.record({ id: cid }), id: seq },
    ...{ to: fc.record({ pid }), why: fc.constant("") },
  }),
  fc.record({ type: type("pipe.wrote"), id: cid, data: bytes }),
  fc.record({ type: type("pipe.read"), id: cid, bytes: fc.nat(8) }),
);

/** The kernel makes every id once. */
function once(records: readonly JournalRecord[]): JournalRecord[] {
  const used = new Set<string>();
  return records.filter((r) => {
    const name =
      r.type === "proc.created"
        ? `p${r.pid}`
        : r.type === "ctx.created"
          ? `c${r.cid}`
          : r.type === "mail.sent"
            ? `m${r.mail.id}`
            : r.type === "ipc.opened"
              ? `o${r.id}`
              : "";
    if (name === "") return true;
    if (used.has(name)) return false;
    used.add(name);
    return true;
  });
}

function check(state: State): void {
  for (const process of state.processes.values()) {
    const sum = (sizes: number[]): number => sizes.reduce((a, b) => a + b, 0);
    const { mails, bytes: held } = process.mailbox;
    expect(held).toBe(sum(mails.map(({ body }) => body.length)));
    expect(process.resultBytes).toBe(sum([...process.results.values()].map((r) => r.reply.length)));
    for (const kept of process.results.keys()) expect(kept > process.ackedThrough).toBe(true);
    if (!process.exit) continue;
    expect(process.results.size + mails.length).toBe(0);
    expect(process.tokenHash + process.resumeHash).toBe("");
  }
  checkBytes(state);
  expect(state.places.get("admin") ?? 0).toBe(
    [...state.processes.values()].filter((process) => hasPlace(state, process)).length,
  );
  for (const { tokens, runs } of state.contexts.values()) {
    runs.forEach((r, i) => {
      const next = runs[i + 1];
      if (next) expect(next.given).toBe(!r.given);
      expect(r.start).toBeLessThan(next?.start ?? tokens.length);
    });
    expect(runs[0]?.start ?? 0).toBe(0);
  }
}

/** What is counted is what lies there. */
function checkBytes({ processes, ipc }: State): void {
  const all: (Mailbox | PipeObject)[] = [...processes.values()].map(({ mailbox }) => mailbox);
  for (const object of ipc.objects.values()) {
    if (object.type === "mailbox") all.push(object.box);
    else if (object.type === "pipe") all.push(object);
  }
  const sizes = (of: typeof all): number =>
    of.reduce((sum, each) => sum + ("mails" in each ? sizeOf(each) : each.bytes), 0);
  expect(ipc.bytes.get("admin") ?? 0).toBe(sizes(all));
  for (const budget of new Set(all.flatMap(({ budgets }) => budgets))) {
    const own = all.filter(({ budgets }) => budgets.includes(budget));
    expect(budget.mailBytes).toBe(sizes(own));
  }
}

describe("the state", () => {
  it("is the fold of the records, and keeps nothing of what is over", () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 60, size: "max" }), (all) => {
        const records = once(all);
        const journal = memoryJournal();
        const folded = emptyState();
        for (const r of records) {
          journal.append(r);
          apply(folded, r);
          check(folded);
        }
        expect(journal.state).toEqual(folded);
        // The end of everything leaves nothing but the counters.
        for (const c of [...folded.contexts.keys()]) apply(folded, { type: "ctx.closed", cid: c });
        for (const { handles } of folded.processes.values()) expect(handles.size).toBe(0);
        for (const p of [...folded.processes.keys()])
          apply(folded, { type: "proc.reaped", pid: p });
        expect(folded.contexts.size + folded.processes.size).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});

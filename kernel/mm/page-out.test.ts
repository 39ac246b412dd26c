/** What goes from a slot to frames with the next plan: of contexts, of their forks, and of those that are gone. */
import { expect, it } from "vitest";
import { memoryJournal } from "../journal/journal.js";
import { evictionPolicy } from "./eviction/policies.js";
import { PageOut } from "./page-out.js";
import { PagePool } from "./pool.js";
import { SlotTable } from "./slots.js";

/** Context 1 has 40 tokens in slot 0, and context 2 is its fork. */
function world() {
  const journal = memoryJournal();
  const table = new SlotTable(1);
  const pool = new PagePool({
    ...{ engineDigest: "e", frames: 9, blocks: 0, pageBytes: 160 },
    eviction: (ports) => evictionPolicy("lru", ports),
    costs: { rebuildUs: () => 10, readUs: () => 1 },
  });
  const out = new PageOut(journal.state, table, pool);
  const belongs = { model: "m", engine: "e", at: 0 };
  journal.append({ type: "ctx.created", cid: 1n, owner: 0n, handle: 0, ...belongs });
  const tokens = Array.from({ length: 40 }, (_, i) => i);
  journal.append({ type: "ctx.given", cid: 1n, tokens, tail: "text" });
  const [slot] = table.slots;
  if (!slot) throw new Error("no slot");
  table.assign(slot, 1n);
  table.setResident(slot, 40);
  const fork = { type: "ctx.forked", cid: 2n, from: 1n, owner: 0n, handle: 0 } as const;
  journal.append({ ...fork, length: 40, ttlUs: 0, at: 0 });
  pool.fork(1n, 2n);
  out.forked(1n, 2n);
  out.grew(slot);
  const saves = (): string[] =>
    out.saves(1).map(({ slot, start, count }) => `${slot}: ${start}+${count}`);
  return { journal, table, slot, out, saves };
}

it("keeps a fork's last tokens with the full pages", () => {
  expect(world().saves()).toEqual(["0: 0+16", "0: 16+16", "0: 32+8"]);
});

it("keeps none of them for a fork that has gone another way meanwhile", () => {
  const { journal, saves } = world();
  journal.append({ type: "ctx.truncated", cid: 2n, length: 34 });
  journal.append({ type: "ctx.given", cid: 2n, tokens: [7, 7, 7], tail: "text" });
  expect(saves()).toEqual(["0: 0+16", "0: 16+16"]);
});

it("keeps the given pages of a context that is gone before there was a plan", () => {
  const { table, out, saves } = world();
  expect(out.leaves(1n, 1)).toBe(true);
  table.drop(1n);
  expect(out.waiting).toBe(true);
  expect(saves()).toEqual(["0: 0+16", "0: 16+16"]);
  expect(out.waiting).toBe(false);
});

it("keeps nothing behind what such a context was given", () => {
  const { journal, table, slot, out, saves } = world();
  expect(saves()).toHaveLength(3);
  const output = Array.from({ length: 24 }, () => 7);
  journal.append({ type: "ctx.generated", cid: 1n, tokens: output });
  table.setResident(slot, 64);
  out.grew(slot);
  expect(out.leaves(1n, 1)).toBe(false);
  expect(saves()).toEqual([]);
});

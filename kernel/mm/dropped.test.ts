/** What is in no tier: of contexts that share, that run, and that never ran. */
import { expect, it } from "vitest";
import type { Context } from "../journal/journal.js";
import { droppedPages } from "./dropped.js";
import { evictionPolicy } from "./eviction/policies.js";
import { PagePool } from "./pool.js";
import { SlotTable } from "./slots.js";

function world() {
  const pool = new PagePool({
    ...{ engineDigest: "e", frames: 8, blocks: 0, pageBytes: 160 },
    eviction: (ports) => evictionPolicy("lru", ports),
    costs: { rebuildUs: () => 1, readUs: () => 1 },
  });
  const table = new SlotTable(1);
  const contexts: Context[] = [];
  const open = (length: number, model = "m"): bigint => {
    const cid = BigInt(contexts.length + 1);
    const tokens = Array.from({ length }, (_, i) => i);
    contexts.push({ cid, model, tokens, runs: [{ start: 0, given: true }] } as unknown as Context);
    return cid;
  };
  const hold = (cid: bigint) => {
    const context = contexts.find((one) => one.cid === cid);
    if (!context) throw new Error(`no context ${cid}`);
    return pool.hold(cid, context, "s");
  };
  const dropped = (): number => droppedPages(contexts, { model: "m", placer: { pool, table } });
  return { pool, table, open, hold, dropped };
}

it("a context's full pages are dropped that are neither kept nor in its slot", () => {
  const { pool, table, open, hold, dropped } = world();
  const cid = open(67);
  const pages = hold(cid);
  expect(dropped()).toBe(4);
  for (const page of pages.slice(0, 2)) pool.save(page, cid, 0, 1);
  pool.seal(1);
  expect(dropped()).toBe(2);
  const [slot] = table.slots;
  if (!slot) throw new Error("no slot");
  table.assign(slot, cid);
  table.setResident(slot, 50);
  expect(dropped()).toBe(1);
  table.setResident(slot, 67);
  expect(dropped()).toBe(0);
});

it("a page that contexts share is one, what never ran counts too, and another model's does not", () => {
  const { open, hold, dropped } = world();
  for (const cid of [open(64), open(64)]) hold(cid);
  expect(dropped()).toBe(4);
  open(40);
  open(400, "other");
  expect(dropped()).toBe(6);
});

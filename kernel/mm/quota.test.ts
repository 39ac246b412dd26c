/** Quotas of contexts, of two principals and of two processes of one. */
import { expect, it } from "vitest";
import { ConfigSchema } from "../config.js";
import { type Context, memoryJournal, type Process } from "../journal/journal.js";
import { Quotas } from "./quota.js";

const limits = {
  ...ConfigSchema.shape.limits.parse({}),
  ...{ contextsPerProcess: 2, contextsPerPrincipal: 3 },
  ...{ contextTokensPerProcess: 100, contextTokensPerPrincipal: 150 },
  ...{ pinnedPagesPerProcess: 3, pinnedPagesPerPrincipal: 4 },
};

/** Processes 1 and 2 are ann's, 3 is bob's. */
function world(frames = 0) {
  const journal = memoryJournal();
  for (const [pid, principal] of [
    [1n, "ann"],
    [2n, "ann"],
    [3n, "bob"],
  ] as const) {
    const record = {
      type: "proc.created",
      pid,
      parent: 0n,
      name: "p",
      principal,
      nice: 0,
    } as const;
    journal.append({ ...record, spawned: false, log: "", at: 0 });
  }
  let cid = 0n;
  const process = (pid: bigint): Process => {
    const found = journal.state.processes.get(pid);
    if (!found) throw new Error(`no process ${pid}`);
    return found;
  };
  const open = (pid: bigint, tokens = 0): Context => {
    const belongs = { model: "m", engine: "e", at: 0 };
    journal.append({
      type: "ctx.created",
      cid: ++cid,
      owner: pid,
      handle: Number(cid),
      ...belongs,
    });
    const given = Array.from({ length: tokens }, (_, i) => i);
    journal.append({ type: "ctx.given", cid, tokens: given, tail: "text" });
    const found = journal.state.contexts.get(cid);
    if (!found) throw new Error("no context");
    return found;
  };
  return { journal, process, open, quotas: new Quotas(limits, journal, () => frames) };
}

const refused = (quota: string, ...words: string[]) =>
  expect.objectContaining({
    code: "EDQUOT",
    message: expect.stringMatching([quota, ...words].join(".*")),
  });

it("contexts count for their process and for its principal, and for no other", () => {
  const { process, open, quotas } = world();
  open(1n);
  open(1n);
  const one = { contexts: 1 };
  expect(() => quotas.check(process(1n), one)).toThrow(
    refused("contextsPerProcess of the process n0.1", "limit 2, in use 2", "close one"),
  );
  quotas.check(process(2n), one);
  open(2n);
  expect(() => quotas.check(process(2n), one)).toThrow(
    refused("contextsPerPrincipal of the principal ann", "limit 3, in use 3"),
  );
  quotas.checkProcess(process(2n), one);
  quotas.check(process(3n), { contexts: 2 });
});

it("tokens that a generation may write are set aside, of its process and of its principal", () => {
  const { process, open, quotas } = world();
  const [first, second, third] = [open(1n, 40), open(2n, 10), open(3n, 10)];
  const room = quotas.reserve(first, 95);
  expect(() => quotas.check(process(1n), { tokens: 6 })).toThrow(
    refused("contextTokensPerProcess", "limit 100, in use 95"),
  );
  expect(() => quotas.reserve(second, 56)).toThrow(
    refused("contextTokensPerPrincipal of the principal ann", "limit 150, in use 105"),
  );
  quotas.reserve(third, 100)[Symbol.dispose]();
  room[Symbol.dispose]();
  quotas.reserve(second, 56)[Symbol.dispose]();
});

it("what was generated is counted once while its generation goes on", () => {
  const { journal, process, open, quotas } = world();
  const context = open(1n, 40);
  using _ = quotas.reserve(context, 100);
  journal.append({ type: "ctx.generated", cid: context.cid, tokens: [1, 2, 3] });
  expect(() => quotas.check(process(1n), { tokens: 1 })).toThrow(refused("limit 100, in use 100"));
});

it("pages of pinned contexts count, and those that a generation adds", () => {
  const { journal, process, open, quotas } = world();
  const context = open(1n, 32);
  journal.append({ type: "ctx.pinned", cid: context.cid, pinned: true });
  using _ = quotas.reserve(context, 33);
  expect(() => quotas.check(process(1n), { pinnedPages: 1 })).toThrow(
    refused("pinnedPagesPerProcess", "limit 3, in use 3", "unpin"),
  );
  quotas.check(process(2n), { pinnedPages: 1 });
  expect(() => quotas.check(process(2n), { pinnedPages: 2 })).toThrow(
    refused("pinnedPagesPerPrincipal", "limit 4, in use 3"),
  );
});

it("tokens that were moved out count on, and are no room for others", () => {
  const { journal, process, open, quotas } = world();
  const { cid, paging } = open(1n, 60);
  const [first] = paging.segments;
  if (!first) throw new Error("no segment");
  const tokens = Array.from({ length: 60 }, (_, i) => i);
  const filed = [{ ...first, role: "user" as const, open: false, tokens }];
  const edit = { cid, from: 0, tokens: [1, 2], tail: "text" as const, segments: [], filed };
  journal.append({ type: "ctx.edited", ...edit });
  expect(() => quotas.check(process(1n), { tokens: 39 })).toThrow(refused("limit 100, in use 62"));
  journal.append({ type: "ctx.forgot", cid, segments: [first.id] });
  quotas.check(process(1n), { tokens: 98 });
});

it("an edit under way is no more than it adds", () => {
  const { open, quotas } = world();
  const context = open(1n, 90);
  // 60 leave, a note of 5 comes, and then 6: 101 in all; or 5.
  expect(() => quotas.reserve(context, 41, 60)).toThrow(refused("11 more", "in use 90"));
  quotas.reserve(context, 40, 60)[Symbol.dispose]();
});

it("a context counts for its owner, and one that is kept for its principal", () => {
  const { journal, process, open, quotas } = world();
  const context = open(1n, 90);
  const grown = { tokens: 11 };
  expect(() => quotas.checkContext(context, grown)).toThrow(
    refused("contextTokensPerProcess of the process n0.1", "limit 100, in use 90"),
  );
  using _ = quotas.reserve(context, 100);
  // Whoever writes in it, the room is its owner's.
  expect(() => quotas.check(process(1n), { tokens: 1 })).toThrow(refused("in use 100"));
  quotas.checkProcess(process(2n), { tokens: 100 });
  const { cid } = context;
  journal.append({ type: "ctx.moved", cid, owner: 0n, handle: 0 });
  quotas.checkContext(context, grown);
  expect(() => quotas.checkContext(context, { tokens: 100 })).toThrow(
    refused("contextTokensPerPrincipal of the principal ann"),
  );
});

it("of a model's pages in RAM half may be pinned, by all together", () => {
  const { journal, process, open, quotas } = world(7);
  const [first, second] = [open(1n, 16), open(3n, 33)];
  const pinned = (cid: bigint) => journal.append({ type: "ctx.pinned", cid, pinned: true });
  pinned(first.cid);
  using room = quotas.reserve(first, 17);
  quotas.checkContext(second, { pinnedPages: 1 });
  expect(() => quotas.checkContext(second, { pinnedPages: 3 })).toThrow(
    refused("3 more pinned pages.*7 pages that m has", "limit 3, in use 2", "pageMemory"),
  );
  quotas.check(process(3n), { pinnedPages: 3 });
  room[Symbol.dispose]();
  journal.append({ type: "ctx.closed", cid: first.cid });
  quotas.checkContext(second, { pinnedPages: 3 });
});

it("pinned pages may not be more than a quota of pages in memory, whoever set it", () => {
  const { journal, process, open } = world();
  const more = { ...limits, pinnedPagesPerProcess: 100, pinnedPagesPerPrincipal: 100 };
  const quotas = new Quotas({ ...more, memoryPagesPerProcess: 3 }, journal);
  journal.append({ type: "principal.added", name: "ann", createdAt: 0, quota: { memoryPages: 4 } });
  const context = open(1n, 32);
  journal.append({ type: "ctx.pinned", cid: context.cid, pinned: true });
  quotas.check(process(1n), { pinnedPages: 1 });
  expect(() => quotas.check(process(1n), { pinnedPages: 2 })).toThrow(
    refused("2 more", "memoryPagesPerProcess of", "limit 3, in use 2", "stay in memory: unpin"),
  );
  expect(() => quotas.check(process(2n), { pinnedPages: 3 })).toThrow(
    refused("memoryPagesPerPrincipal of the principal ann", "limit 4, in use 2", "unpin"),
  );
  quotas.check(process(3n), { pinnedPages: 3 });
  // What is not pinned makes room by itself.
  quotas.check(process(1n), { tokens: 50 });
});

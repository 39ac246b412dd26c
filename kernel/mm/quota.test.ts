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
function world() {
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
  return { journal, process, open, quotas: new Quotas(limits, journal) };
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
    refused("contextsPerProcess of this process", "limit 2, in use 2", "close one"),
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
  const room = quotas.reserve(process(1n), first, 95);
  expect(() => quotas.check(process(1n), { tokens: 6 })).toThrow(
    refused("contextTokensPerProcess", "limit 100, in use 95"),
  );
  expect(() => quotas.reserve(process(2n), second, 56)).toThrow(
    refused("contextTokensPerPrincipal of the principal ann", "limit 150, in use 105"),
  );
  quotas.reserve(process(3n), third, 100)[Symbol.dispose]();
  room[Symbol.dispose]();
  quotas.reserve(process(2n), second, 56)[Symbol.dispose]();
});

it("what was generated is counted once while its generation goes on", () => {
  const { journal, process, open, quotas } = world();
  const context = open(1n, 40);
  using _ = quotas.reserve(process(1n), context, 100);
  journal.append({ type: "ctx.generated", cid: context.cid, tokens: [1, 2, 3] });
  expect(() => quotas.check(process(1n), { tokens: 1 })).toThrow(refused("limit 100, in use 100"));
});

it("pages of pinned contexts count, and those that a generation adds", () => {
  const { journal, process, open, quotas } = world();
  const context = open(1n, 32);
  journal.append({ type: "ctx.pinned", cid: context.cid, pinned: true });
  using _ = quotas.reserve(process(1n), context, 33);
  expect(() => quotas.check(process(1n), { pinnedPages: 1 })).toThrow(
    refused("pinnedPagesPerProcess", "limit 3, in use 3", "unpin"),
  );
  quotas.check(process(2n), { pinnedPages: 1 });
  expect(() => quotas.check(process(2n), { pinnedPages: 2 })).toThrow(
    refused("pinnedPagesPerPrincipal", "limit 4, in use 3"),
  );
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

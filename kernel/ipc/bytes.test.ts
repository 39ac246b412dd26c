/** Bytes in mailboxes and pipes: whose they are, and what bounds them in all. */
import { describe, expect, it } from "vitest";
import { IpcWorld } from "../../test/support/ipc-world.js";
import { ENVELOPE } from "../journal/fold-mail.js";
import { PageQuotas } from "../mm/page-quotas.js";

const KIB = 1024;
const data = (kib: number): Buffer => Buffer.alloc(kib * KIB);
/** Of a message that counts so much. */
const body = (kib: number): Buffer => Buffer.alloc(kib * KIB - ENVELOPE);

/** Agents of Alice's, whose quota is 100 KiB. */
function world(kib = 100) {
  const w = new IpcWorld();
  const quota = { mailboxBytes: kib * KIB };
  w.kernel.journal.append({ type: "principal.added", name: "alice", createdAt: 0, quota });
  const held = (principal = "alice"): number => (w.state.ipc.bytes.get(principal) ?? 0) / KIB;
  return { w, held };
}

const isFull = /^EAGAIN: the quota of the principal alice of mailboxBytes is full/;

describe("the quota of a principal", () => {
  it("is one for all its mailboxes, inboxes and pipes; what is received makes room", async () => {
    const { w, held } = world();
    const [pid, other] = [w.agent(), w.agent()];
    const [one, two] = [await w.open(pid, "mailbox", "one"), await w.open(pid, "mailbox", "two")];
    const pipe = await w.ask(pid, "open", { type: "pipe" });
    await w.ask(pid, "send", { body: body(40) }, one);
    await w.ask(pid, "send", { body: body(30), pid: other });
    await w.ask(pid, "pipeWrite", { data: data(20) }, pipe.writeHandle);
    expect(held()).toBe(90);
    expect(await w.outcome(pid, "send", { body: body(11) }, two)).toMatch(isFull);
    expect(await w.outcome(pid, "request", { body: body(11) }, two)).toMatch(isFull);
    expect(await w.outcome(pid, "pipeWrite", { data: data(11) }, pipe.writeHandle)).toMatch(isFull);
    await w.ask(pid, "send", { body: body(10) }, two);
    await w.ask(pid, "recv", {}, one);
    await w.ask(pid, "pipeRead", { max: 5 * KIB }, pipe.handle);
    expect(held()).toBe(55);
    w.end(other);
    expect(held()).toBe(25);
    await w.ask(pid, "remove", { type: "mailbox", name: "two" });
    await w.ask(pid, "capClose", {}, pipe.handle);
    await w.ask(pid, "capClose", {}, pipe.writeHandle);
    expect(held()).toBe(0);
  });

  it("counts more of a message than its body: empty ones are bounded too", async () => {
    const { w, held } = world();
    const pid = w.agent();
    await w.ask(pid, "send", { pid });
    expect(held()).toBe(ENVELOPE / KIB);
    const box = await w.open(pid, "mailbox", "one");
    for (let i = 1; i < 400; i++) await w.ask(pid, "send", {}, box);
    expect(held()).toBe(100);
    expect(await w.outcome(pid, "send", {}, box)).toMatch(isFull);
  });

  it("is told by sys.limits", async () => {
    const { w } = world();
    const { Rates } = await import("../cap/rates/rates.js");
    const { journal, clock, config, accounts } = w.kernel;
    const pages = new PageQuotas(config.limits, journal);
    const pid = w.agent();
    await w.ask(pid, "send", { body: body(7), pid });
    const process = w.state.processes.get(pid);
    if (!process) throw new Error("no process");
    const report = new Rates({ journal, clock, config, accounts, pages }).report(process);
    expect(report.find(({ quota }) => quota === "mailboxBytes")).toMatchObject({
      ...{ of: "principal", limit: 100 * KIB, used: 7 * KIB },
    });
  });

  it("leaves a mailbox of nobody's own out of a publication that has no room for all", async () => {
    const { w, held } = world();
    const pid = w.agent();
    for (let i = 0; i < 3; i++) await w.ask(pid, "subscribe", { pattern: "news" });
    const { delivered, missed } = await w.ask(pid, "publish", { subject: "news", body: body(40) });
    expect([delivered, missed, held()]).toEqual([2, 1, 80]);
  });

  it("lets the one message through that is larger, and is another principal's matter no more", async () => {
    const { w } = world(1);
    const pid = w.agent();
    await w.ask(pid, "send", { body: body(50), pid });
    expect(await w.outcome(pid, "send", { body: body(1), pid })).toMatch(isFull);
    const bob = w.agent("bob");
    await w.ask(bob, "send", { body: body(50), pid: bob });
  });

  it("is not needed twice for a dead letter", async () => {
    const { w, held } = world();
    const pid = w.agent();
    const jobs = await w.open(pid, "mailbox", "jobs", { mailbox: { maxDeliveries: 1 } });
    await w.ask(pid, "send", { body: body(90) }, jobs);
    await w.ask(pid, "recv", { visibilityUs: 10n }, jobs);
    w.pass(10);
    const dead = await w.open(pid, "mailbox", "dead-letters", { existing: true });
    expect((await w.ask(pid, "recv", {}, dead)).body).toEqual(body(90));
    expect(held()).toBe(0);
  });

  it("ends who waits to write when there is room in the pipe and none in the quota", async () => {
    const { w } = world();
    const pid = w.agent();
    const pipe = await w.ask(pid, "open", { type: "pipe", capacity: 16 * KIB });
    await w.ask(pid, "pipeWrite", { data: data(16) }, pipe.writeHandle);
    const waits = w.outcome(pid, "pipeWrite", { data: data(16) }, pipe.writeHandle);
    await w.ask(pid, "send", { body: body(84), pid });
    await w.ask(pid, "pipeRead", { max: 8 * KIB }, pipe.handle);
    expect(await w.settled(waits)).toBe(false);
    await w.ask(pid, "send", { body: body(8), pid });
    await w.ask(pid, "pipeRead", {}, pipe.handle);
    expect(await waits).toMatch(isFull);
  });
});

describe("a quota given at spawn", () => {
  it("bounds the inboxes of a process and its children, and what they opened", async () => {
    const { w } = world(1000);
    const parent = w.agent();
    const of = { name: "p", principal: "alice", nice: 0, spawned: false };
    const { pid } = w.kernel.procs.create({ ...of, parent, quota: { mailboxBytes: 10 * KIB } });
    const { pid: child } = w.kernel.procs.create({ ...of, parent: pid });
    w.kernel.journal.append({
      ...{ type: "ipc.opened", id: 99n, principal: "alice", name: "jobs", by: child },
      object: { type: "pipe", capacity: 64 * KIB },
    });
    const full = /^EAGAIN: the quota of n1\.\d+ of mailboxBytes is full/;
    w.kernel.journal.append({ type: "pipe.wrote", id: 99n, data: data(6) });
    await w.ask(parent, "send", { body: body(3), pid: child });
    expect(await w.outcome(parent, "send", { body: body(2), pid })).toMatch(full);
    await w.ask(parent, "send", { body: body(2), pid: parent });
    const [budget] = w.state.processes.get(child)?.budgets ?? [];
    expect(budget?.mailBytes).toBe(9 * KIB);
    w.end(child);
    expect(budget?.mailBytes).toBe(6 * KIB);
  });
});

describe("a write of nothing", () => {
  it("is written nowhere, and is EPIPE where any is", async () => {
    const { w } = world();
    const pid = w.agent();
    const pipe = await w.ask(pid, "open", { type: "pipe" });
    for (let i = 0; i < 100; i++) {
      const { free } = await w.ask(pid, "pipeWrite", { data: data(0) }, pipe.writeHandle);
      expect(free).toBe(64 * KIB);
    }
    const object = [...w.state.ipc.objects.values()].find(({ type }) => type === "pipe");
    expect(object?.type === "pipe" && object.chunks).toEqual([]);
    await w.ask(pid, "capClose", {}, pipe.handle);
    expect(await w.outcome(pid, "pipeWrite", { data: data(0) }, pipe.writeHandle)).toMatch(
      /^EPIPE/,
    );
  });
});

it("small writes to a pipe are put together, and read as they were written", async () => {
  const { w } = world();
  const pid = w.agent();
  const pipe = await w.ask(pid, "open", { type: "pipe" });
  const all = Buffer.from(Array.from({ length: 3000 }, (_, i) => i % 251));
  for (const byte of all) {
    await w.ask(pid, "pipeWrite", { data: Buffer.of(byte) }, pipe.writeHandle);
    w.kernel.trap.ack(pid, BigInt(Number.MAX_SAFE_INTEGER));
  }
  await w.ask(pid, "pipeWrite", { data: data(8) }, pipe.writeHandle);
  const object = [...w.state.ipc.objects.values()].find(({ type }) => type === "pipe");
  expect(object?.type === "pipe" && object.chunks.length).toBe(2);
  expect((await w.ask(pid, "pipeRead", { max: 1000 }, pipe.handle)).data).toEqual(
    all.subarray(0, 1000),
  );
  const rest = Buffer.concat([all.subarray(1000), data(8)]);
  expect((await w.ask(pid, "pipeRead", {}, pipe.handle)).data).toEqual(rest);
});

it("dead letters open no mailbox more than a principal may have: the message rests", async () => {
  const { w } = world();
  Object.assign(w.kernel.config.limits, { ipcObjectsPerPrincipal: 1 });
  const pid = w.agent();
  const jobs = await w.open(pid, "mailbox", "jobs", { mailbox: { maxDeliveries: 1 } });
  await w.ask(pid, "send", { body: body(1) }, jobs);
  await w.ask(pid, "recv", { visibilityUs: 10n }, jobs);
  w.pass(10);
  expect(w.state.ipc.objects.size).toBe(1);
  Object.assign(w.kernel.config.limits, { ipcObjectsPerPrincipal: 2 });
  w.pass(30_000_000);
  const dead = await w.open(pid, "mailbox", "dead-letters", { existing: true });
  expect((await w.ask(pid, "recv", {}, dead)).dead).toMatch(/delivered 1 times/);
});

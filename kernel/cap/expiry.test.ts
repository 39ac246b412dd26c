/** What ends when the time of a capability is over: the handle, and all that went on by it. */
import { describe, expect, it } from "vitest";
import { bytes, IpcWorld } from "../../test/support/ipc-world.js";
import { memoryJournal } from "../journal/journal.js";
import { Expiry } from "./expiry.js";
import { RIGHTS } from "./rights.js";

const TTL = 1000;

/** Two of Alice's: one opens things and lends them for a time, the other is lent them. */
function world() {
  const w = new IpcWorld();
  // Nobody acknowledges here.
  Object.assign(w.kernel.config.limits, { unackedResults: 1_000_000 });
  const owner = w.agent();
  const worker = w.agent();
  const lend = async (handle: number, more: object = {}): Promise<number> =>
    (await w.ask(owner, "capGrant", { pid: worker, ttlUs: BigInt(TTL), ...more }, handle)).handle;
  const handles = (): number => w.state.processes.get(worker)?.handles.size ?? 0;
  return { w, owner, worker, lend, handles };
}

describe("a handle whose time is over", () => {
  it("ends what was begun by it before", async () => {
    const { w, owner, worker, lend } = world();
    const box = await w.open(owner, "mailbox", "jobs");
    const waits = w.outcome(worker, "recv", {}, await lend(box));
    w.pass(TTL - 1);
    expect(await w.settled(waits)).toBe(false);
    w.pass(1);
    expect(await waits).toMatch(/^EBADF: the handle has expired while the call went on/);
    await w.ask(owner, "send", { body: bytes("late") }, box);
    expect((await w.ask(owner, "recv", {}, box)).body.toString()).toBe("late");
  });

  it("lets go of a lock that was taken by it", async () => {
    const { w, owner, worker, lend } = world();
    const lock = await w.open(owner, "lock", "l");
    await w.ask(worker, "lock", {}, await lend(lock));
    const next = w.ask(owner, "lock", {}, lock);
    w.pass(TTL);
    expect((await next).token).toBe(2n);
  });

  it("is an end less of its pipe", async () => {
    const { w, owner, lend } = world();
    const ends = await w.ask(owner, "open", { type: "pipe" });
    await lend(ends.handle, { outlives: true });
    await w.ask(owner, "capClose", {}, ends.handle);
    const write = { data: bytes("a") };
    expect(await w.outcome(owner, "pipeWrite", write, ends.writeHandle)).toBe("ok");
    w.pass(TTL);
    expect(await w.outcome(owner, "pipeWrite", write, ends.writeHandle)).toMatch(/^EPIPE/);
    const others = await w.ask(owner, "open", { type: "pipe" });
    await lend(others.writeHandle, { outlives: true });
    await w.ask(owner, "capClose", {}, others.writeHandle);
    const read = w.ask(owner, "pipeRead", {}, others.handle);
    expect(await w.settled(read)).toBe(false);
    w.pass(TTL);
    expect((await read).eof).toBe(true);
  });

  it("takes no place in its process, nor does what was granted from it", async () => {
    const { w, owner, worker, lend, handles } = world();
    const box = await w.open(owner, "mailbox", "jobs");
    const before = handles();
    for (let i = 0; i < 5000; i++) {
      await lend(box, { rights: RIGHTS.read });
      w.pass(TTL);
    }
    expect(handles()).toBe(before);
    const from = await lend(box);
    const third = w.agent();
    const { handle } = await w.ask(worker, "capGrant", { pid: third }, from);
    w.pass(TTL);
    expect(w.state.processes.get(third)?.handles.has(handle)).toBe(false);
  });

  it("is not waited for behind one that ends later", async () => {
    const { w, owner, lend, handles } = world();
    const box = await w.open(owner, "mailbox", "jobs");
    const before = handles();
    await lend(box, { ttlUs: BigInt(10 * TTL) });
    await lend(box);
    w.pass(TTL);
    expect(handles()).toBe(before + 1);
    w.pass(9 * TTL);
    expect(handles()).toBe(before);
  });
});

it("remembers no more of those that ended before their time than of those that there are", () => {
  const journal = memoryJournal();
  const clock = { now: () => 0, wall: () => 0, after: () => () => {} };
  const expiry = new Expiry(journal, clock, () => {});
  for (let i = 1n; i <= 10_000n; i++) {
    const object = { type: "topic", id: "t" } as const;
    const made = { parent: 0n, holder: 1n, handle: Number(i), object, rights: 1, expires: 9 };
    journal.append({ type: "cap.made", id: i, ...made });
    if (i > 10n) journal.append({ type: "cap.closed", id: i });
  }
  expect(expiry.size).toBeLessThan(2000);
  expect(journal.state.caps.size).toBe(10);
});

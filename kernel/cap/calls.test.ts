/** The cap syscalls over the trap itself: what may be passed on, taken back and opened. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BareKernel } from "../../test/support/bare-kernel.js";
import { HANDLES, spawnGifts } from "./births.js";
import { ALL_RIGHTS, EVERYONE, RIGHTS } from "./rights.js";
import { transfer } from "./transfer.js";

const { read, write, call, grant, admin } = RIGHTS;
const namespace = (id: string, rights = ALL_RIGHTS) => ({
  ...{ parent: 0n, object: { type: "principal", id } as const, rights },
});

/** Two processes of Alice's and one of Bob's, each with its namespace. */
function world() {
  const to = new BareKernel();
  const alice = to.process({ gifts: [namespace("alice")] });
  const helper = to.process({ gifts: [] });
  const bob = to.process({ principal: "bob", gifts: [namespace("bob")] });
  const made = to.context(alice);
  const held = (pid: bigint) => [...(to.state.processes.get(pid)?.handles.keys() ?? [])];
  const grantTo = async (from: bigint, handle: number, pid: bigint, more: object = {}) => {
    const { result } = await to.call(from, "capGrant", { pid, ...more }, handle);
    if (result?.$case !== "capGrant") throw new Error(JSON.stringify(result));
    return result.value;
  };
  return { to, alice, helper, bob, ...made, held, grantTo };
}

describe("grant", () => {
  it("gives no right that the granter has not, and none without the right to grant", async () => {
    const { to, alice, helper, handle, grantTo } = world();
    const strong = await grantTo(alice, handle, helper, { rights: read | grant });
    expect(await to.outcome(helper, "ctxStat", {}, strong.handle)).not.toMatch(/EPERM|EBADF/);
    expect(await to.outcome(helper, "ctxTruncate", {}, strong.handle)).toMatch(
      /^EPERM: the right to write is missing on context n0.1; held: read, grant/,
    );
    // It may pass on what it has, to whoever it may reach.
    const other = to.process();
    const on = to.handle(helper, { type: "process", id: other }, ALL_RIGHTS);
    expect(on).toBeGreaterThan(0);
    const more = await to.outcome(alice, "capGrant", { pid: helper, rights: 64 }, handle);
    expect(more).toMatch(/^EINVAL: rights is 64/);
    const reader = await grantTo(alice, handle, helper, { rights: read });
    expect(await to.outcome(helper, "capGrant", { pid: alice }, reader.handle)).toMatch(/^EPERM/);
  });

  it("goes to those that the granter may tell things only", async () => {
    const { to, alice, bob, handle } = world();
    expect(await to.outcome(alice, "capGrant", { pid: bob }, handle)).toMatch(/^EPERM: process/);
    const reach = to.handle(alice, { type: "principal", id: EVERYONE }, write);
    expect(reach).toBeGreaterThan(0);
    expect(await to.outcome(alice, "capGrant", { pid: bob, rights: read }, handle)).toBe("ok");
  });

  it("never widens, whatever was granted from what", async () => {
    const step = fc.record({ from: fc.nat(9), to: fc.nat(2), rights: fc.nat(ALL_RIGHTS) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const { to, alice, helper, handle } = world();
        const third = to.process({ gifts: [namespace("alice")] });
        const pids = [alice, helper, third];
        for (const pid of pids) to.handle(pid, { type: "principal", id: "alice" }, write);
        const all = [{ pid: alice, handle }];
        for (const each of steps) {
          const from = all[each.from % all.length] ?? { pid: alice, handle };
          const pid = pids[each.to] ?? alice;
          const { result } = await to.call(
            from.pid,
            "capGrant",
            { pid, rights: each.rights },
            from.handle,
          );
          if (result?.$case === "capGrant") all.push({ pid, handle: result.value.handle });
        }
        for (const { rights, parent, expires } of to.state.caps.values()) {
          const above = to.state.caps.get(parent);
          if (!above) continue;
          expect(rights & ~above.rights).toBe(0);
          expect(above.rights & grant).toBe(grant);
          expect(expires).toBe(0);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("ends with its time, and lasts no longer than what it was granted from", async () => {
    const { to, alice, helper, handle, grantTo } = world();
    const short = await grantTo(alice, handle, helper, { ttlUs: 50n });
    const on = await to.outcome(helper, "ctxStat", {}, short.handle);
    expect(on).not.toMatch(/EBADF/);
    to.pass(50);
    expect(await to.outcome(helper, "ctxStat", {}, short.handle)).toMatch(/^EBADF: .*has expired/);
  });
});

describe("revoke", () => {
  it("takes back a whole subtree at once, and says how much", async () => {
    const { to, alice, helper, handle, grantTo } = world();
    const third = to.process();
    to.handle(helper, { type: "process", id: third }, write);
    const first = await grantTo(alice, handle, helper, { rights: read | grant });
    const root = to.state.processes.get(helper)?.handles.get(first.handle) ?? 0n;
    const second = to.handle(third, { type: "context", id: 1n }, read, { parent: root });
    const { result } = await to.call(alice, "capRevoke", {}, handle);
    expect(result).toMatchObject({ $case: "capRevoke", value: { revoked: 2 } });
    expect(await to.outcome(helper, "ctxStat", {}, first.handle)).toMatch(/^EBADF/);
    expect(await to.outcome(third, "ctxStat", {}, second)).toMatch(/^EBADF/);
    expect(await to.outcome(alice, "ctxStat", {}, handle)).not.toMatch(/EBADF|EPERM/);
  });

  it("takes one grant back, and none that is another's", async () => {
    const { to, alice, helper, handle, grantTo } = world();
    const [one, two] = [await grantTo(alice, handle, helper), await grantTo(alice, handle, helper)];
    expect(await to.outcome(helper, "capRevoke", { id: two.id }, one.handle)).toMatch(/^ENOENT/);
    expect(await to.outcome(alice, "capRevoke", { id: one.id }, handle)).toBe("ok");
    expect(await to.outcome(helper, "ctxStat", {}, one.handle)).toMatch(/^EBADF/);
    expect(await to.outcome(helper, "ctxStat", {}, two.handle)).not.toMatch(/EBADF/);
  });

  it("ends what goes on through what was taken back", async () => {
    const { to, alice, helper, handle, grantTo } = world();
    const lent = await grantTo(alice, handle, helper, { rights: ALL_RIGHTS });
    // A sleep stands for a call that takes its time; it is made to be on the context.
    const waits = to.outcome(helper, "sleep", { us: 1000n });
    const [under] = to.kernel.trap.inFlight(helper);
    const capability = to.state.caps.get(lent.id);
    if (!under || !capability) throw new Error("nothing is in flight");
    under.uses = [{ capability, object: capability.object, rights: read }];
    expect(await to.outcome(alice, "capRevoke", {}, handle)).toBe("ok");
    expect(await waits).toMatch(/^EBADF: the handle was taken back/);
  });
});

describe("the end of a process", () => {
  it("closes its handles, and what it granted dies with them unless it was to outlive it", async () => {
    const { to, alice, helper, bob, held, grantTo } = world();
    const topic = { type: "topic", id: "t" } as const;
    const root = to.handle(bob, topic, ALL_RIGHTS);
    const id = to.state.processes.get(bob)?.handles.get(root) ?? 0n;
    const lent = to.handle(alice, topic, ALL_RIGHTS, { parent: id });
    const dies = await grantTo(alice, lent, helper, { rights: read });
    const stays = await grantTo(alice, lent, helper, { rights: read, outlives: true });
    to.kernel.procs.exited(alice, 0, "exit");
    expect(held(helper)).toEqual([stays.handle]);
    expect(held(alice)).toEqual([]);
    expect(to.state.caps.has(dies.id)).toBe(false);
    // It is its granter's granter's to take back now.
    expect(to.state.caps.get(stays.id)?.parent).toBe(id);
    expect(await to.outcome(bob, "capRevoke", {}, root)).toBe("ok");
    expect(held(helper)).toEqual([]);
  });

  it("ends the handles that others have on its contexts and on itself", async () => {
    const { to, alice, helper, cid, handle, grantTo, held } = world();
    await grantTo(alice, handle, helper, { outlives: true });
    to.kernel.procs.exited(alice, 0, "exit");
    expect(to.state.contexts.has(cid)).toBe(false);
    expect(held(helper)).toEqual([]);
  });
});

describe("open", () => {
  it("makes a handle out of a namespace, with its rights at most, and for what it covers", async () => {
    const { to, alice, bob, helper, cid } = world();
    const context = { object: "context", id: cid };
    const { result } = await to.call(alice, "capOpen", { ...context, rights: read | grant });
    const opened = result?.$case === "capOpen" ? result.value : undefined;
    expect(opened?.rights).toBe(read | grant);
    expect(await to.outcome(alice, "ctxTruncate", {}, opened?.handle)).toMatch(/^EPERM/);
    expect(await to.outcome(bob, "capOpen", context)).toMatch(
      /^EPERM: context n0.1 belongs to another principal/,
    );
    expect(await to.outcome(helper, "capOpen", context)).toMatch(
      /^EPERM: this process has no namespace/,
    );
    const reader = to.process({ gifts: [namespace("alice", read)] });
    expect(await to.outcome(reader, "capOpen", { ...context, rights: write })).toMatch(/^EPERM/);
    expect(await to.outcome(alice, "capOpen", { object: "context", id: 9n })).toMatch(/^ENOENT/);
    expect(await to.outcome(alice, "capOpen", { object: "principal", name: "bob" })).toMatch(
      /^EPERM/,
    );
    expect(await to.outcome(alice, "capOpen", { object: "printer" })).toMatch(/^EINVAL/);
    expect(
      await to.outcome(alice, "capOpen", { object: "model", name: "tiny", rights: call }),
    ).toBe("ok");
    expect(
      to.audit.filter(({ call: of, result: how }) => of === "cap.open" && how === "EPERM"),
    ).toHaveLength(4);
  });
});

describe("close", () => {
  it("gives a handle back, and leaves what its owner owns to the owner's call", async () => {
    const { to, alice, helper, handle, grantTo, held } = world();
    const lent = await grantTo(alice, handle, helper);
    expect(await to.outcome(helper, "capClose", {}, lent.handle)).toBe("ok");
    expect(held(helper)).toEqual([]);
    expect(await to.outcome(helper, "capClose", {}, lent.handle)).toMatch(/^EBADF/);
    expect(await to.outcome(alice, "capClose", {}, handle)).toMatch(/^EBUSY: .*ctx.close/);
  });

  it("goes both ends of a pipe, or none", async () => {
    const { to, alice, held } = world();
    while (held(alice).length < HANDLES - 1) to.handle(alice, { type: "topic", id: "t" }, read);
    expect(await to.outcome(alice, "open", { type: "pipe" })).toMatch(/^EMFILE/);
    expect(await to.outcome(alice, "open", { type: "lock", name: "l" })).toBe("ok");
    expect(held(alice)).toHaveLength(HANDLES);
  });

  it("numbers are never used twice", async () => {
    const { to, alice, helper, handle, grantTo } = world();
    const one = await grantTo(alice, handle, helper);
    await to.outcome(helper, "capClose", {}, one.handle);
    expect((await grantTo(alice, handle, helper)).handle).toBe(one.handle + 1);
  });
});

describe("list", () => {
  it("tells each handle, what may be done with it, and who was granted what", async () => {
    const { to, alice, helper, handle, grantTo } = world();
    const lent = await grantTo(alice, handle, helper, { rights: read });
    const { result } = await to.call(alice, "capList");
    const handles = result?.$case === "capList" ? result.value.handles : [];
    expect(handles.map(({ object, name, rights }) => ({ object, name, rights }))).toEqual([
      { object: "principal", name: "alice", rights: ALL_RIGHTS },
      { object: "context", name: "", rights: ALL_RIGHTS },
    ]);
    const [granted] = handles[1]?.granted ?? [];
    expect(granted).toEqual({ id: lent.id, pid: helper, handle: lent.handle, rights: read });
  });
});

describe("a child", () => {
  const asker = (to: BareKernel, pid: bigint) => {
    const process = to.state.processes.get(pid);
    if (!process) throw new Error("no process");
    return { state: to.state, process, now: to.now };
  };

  it("has its parent's namespaces, never more; in a sandbox only what was passed", () => {
    const { to, handle } = world();
    const weak = to.process({ gifts: [namespace("alice", read | write)] });
    const inherited = spawnGifts(asker(to, weak), [], false);
    expect(inherited).toMatchObject([
      { object: { id: "alice" }, rights: read | write, outlives: true },
    ]);
    expect(spawnGifts(asker(to, weak), [], true)).toEqual([]);
    const owner = [...to.state.contexts.values()][0]?.owner ?? 0n;
    const passed = [{ handle, rights: read | call, outlives: false }];
    expect(spawnGifts(asker(to, owner), passed, true)).toMatchObject([{ rights: read | call }]);
    const lent = to.handle(owner, { type: "topic", id: "t" }, read);
    const unlendable = [{ handle: lent, rights: read, outlives: false }];
    expect(() => spawnGifts(asker(to, owner), unlendable, true)).toThrow(
      /right to grant is missing/,
    );
    const forged = [{ handle: 99, rights: 0, outlives: false }];
    expect(() => spawnGifts(asker(to, owner), forged, true)).toThrow(/handle 99 is not open/);
  });

  it("is named by a handle of its parent's", () => {
    const { to, alice, held } = world();
    const before = held(alice).length;
    to.process({ parent: alice });
    expect(held(alice)).toHaveLength(before + 1);
  });
});

describe("a handle in a message", () => {
  it("moves: the sender has it no more, and whoever granted it can still take it back", async () => {
    const { to, alice, helper, bob, handle, grantTo } = world();
    const lent = await grantTo(alice, handle, helper, { rights: read | grant });
    const [sender, receiver] = [to.state.processes.get(helper), to.state.processes.get(bob)];
    if (!sender || !receiver) throw new Error("no process");
    const asker = { state: to.state, process: sender, now: to.now };
    const moved = transfer(to.kernel, asker, [lent.handle], receiver);
    to.kernel.journal.append(...moved.records);
    expect(await to.outcome(helper, "ctxStat", {}, lent.handle)).toMatch(/^EBADF/);
    const [theirs = 0] = moved.handles;
    expect(await to.outcome(bob, "ctxStat", {}, theirs)).not.toMatch(/EBADF|EPERM/);
    expect(await to.outcome(alice, "capRevoke", {}, handle)).toBe("ok");
    expect(await to.outcome(bob, "ctxStat", {}, theirs)).toMatch(/^EBADF/);
  });

  it("is refused without the right to grant, twice, and for a context of another principal's", async () => {
    const { to, alice, helper, bob, handle, cid, grantTo } = world();
    const reader = await grantTo(alice, handle, helper, { rights: read });
    const process = (pid: bigint) => {
      const found = to.state.processes.get(pid);
      if (!found) throw new Error("no process");
      return found;
    };
    const send = (from: bigint, handles: number[], pid: bigint) =>
      transfer(
        to.kernel,
        { state: to.state, process: process(from), now: to.now },
        handles,
        process(pid),
      );
    expect(() => send(helper, [reader.handle], bob)).toThrow(/right to grant is missing/);
    expect(() => send(alice, [handle, handle], helper)).toThrow(/each once/);
    expect(() => send(alice, [handle], bob)).toThrow(/grant a handle on it instead/);
    to.kernel.journal.append(...send(alice, [handle], helper).records);
    expect(to.state.contexts.get(cid)?.owner).toBe(helper);
    expect(to.state.processes.get(helper)?.holds.contexts).toBe(1);
  });
});

it("a stranger's administration is refused: only an administrator's namespace will do", async () => {
  const { to, alice } = world();
  const boss = to.process({ principal: "admin", gifts: [namespace(EVERYONE)] });
  expect(await to.outcome(alice, "principalAdd", { name: "mallory" })).toMatch(
    /administrator's namespace/,
  );
  expect(await to.outcome(boss, "principalAdd", { name: "carol" })).toBe("ok");
  expect((admin & ALL_RIGHTS) > 0).toBe(true);
});

/** Kernels that lose their line, end, are killed, or are not there; and those that lie. */
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../kernel/clock.js";
import { LOST_BEATS, subjectOf } from "../../kernel/ipc/between/link.js";
import type { Bus } from "../../kernel/ipc/bus.js";
import { MemoryLine } from "../../kernel/ipc/bus-memory.js";
import { BetweenFrame, BetweenPacket } from "../../proto/gen/contix/v1/between.js";
import { IpcPair } from "../support/ipc-pair.js";
import { bytes, IpcWorld } from "../support/ipc-world.js";

const BEAT_US = 1_000_000;

async function world(maxBytes?: number) {
  const line = new MemoryLine(systemClock, maxBytes);
  const buses: Bus[] = [];
  const pair = await IpcPair.make(async () => {
    const bus = line.join();
    buses.push(bus);
    return bus;
  });
  onTestFinished(() => pair.close());
  /** The kernel `there` is killed: its line ends without a word, its clock stands. */
  const kill = async (which: 0 | 1): Promise<void> => void (await buses[which]?.close());
  /** Time of one of the two, beat by beat. */
  const beats = async (of: IpcWorld, n: number): Promise<void> => {
    for (let i = 0; i < n; i++) {
      of.pass(BEAT_US);
      await pair.quiet();
    }
  };
  return { line, pair, kill, beats };
}

describe("while the line is cut", () => {
  it("new calls are EAGAIN, local work goes on, and what waits is answered after it", async () => {
    const { line, pair, beats } = await world();
    const [a, b] = [pair.agent(), pair.peer()];
    const [far, near] = [await pair.open(a, "mailbox", "m"), await pair.open(b, "mailbox", "m")];
    const waits = pair.ask(a, "recv", {}, far);
    await pair.quiet();
    line.cut();
    const refused = await pair.call(a, "send", { body: bytes("x") }, far);
    expect(refused.result).toMatchObject({ value: { name: "EAGAIN", retryAfterUs: 1_000_000n } });
    await pair.ask(b, "send", { body: bytes("while it was cut") }, near);
    // However long: nobody is given up for a line that is down.
    for (const each of [pair.here, pair.there]) await beats(each, 3 * LOST_BEATS);
    expect(await pair.settled(waits)).toBe(false);
    line.mend();
    await pair.pass(BEAT_US);
    expect((await waits).body.toString()).toBe("while it was cut");
    await pair.ask(a, "send", { body: bytes("y") }, far);
    expect((await pair.ask(b, "recv", {}, near)).body.toString()).toBe("y");
  });

  it("a call that is given up says that nobody knows", async () => {
    const { line, pair } = await world();
    const a = pair.agent();
    const box = await pair.open(a, "mailbox", "m");
    const waits = pair.ask(a, "recv", {}, box);
    await pair.quiet();
    line.cut();
    await pair.cancelAll(a);
    const said = expect(waits).rejects.toThrow(/^EUNKNOWN: the caller cancelled/);
    await pair.pass(2_000_000);
    await said;
  });
});

describe("what was opened for a call that was given up", () => {
  it("is closed when the line is back: nobody has a handle on it", async () => {
    const { line, pair } = await world();
    const a = pair.agent();
    const late = expect(pair.open(a, "pipe", "")).rejects.toThrow(/^EUNKNOWN/);
    line.cut();
    await pair.cancelAll(a);
    await pair.pass(2_000_000);
    await late;
    line.mend();
    await pair.pass(BEAT_US);
    expect(pair.state.processes.has(a)).toBe(true);
    expect(pair.state.ipc.objects.size).toBe(0);
  });
});

describe("a kernel that is killed", () => {
  it("frees what its processes held, within six seconds", async () => {
    const { pair, kill, beats } = await world();
    const [a, b] = [pair.agent(), pair.peer()];
    const [far, near] = [await pair.open(a, "lock", "l"), await pair.open(b, "lock", "l")];
    await pair.ask(a, "lock", {}, far);
    const next = pair.ask(b, "lock", {}, near);
    await kill(0);
    await beats(pair.there, LOST_BEATS - 1);
    expect(await pair.settled(next)).toBe(false);
    await beats(pair.there, 1);
    expect((await next).token).toBe(2n);
    expect([...pair.state.processes.keys()]).toEqual([b]);
  });

  it("takes its objects along: who waits for them is told, and their handles are closed", async () => {
    const { pair, kill, beats } = await world();
    const a = pair.agent();
    const [box, lock] = [await pair.open(a, "mailbox", "m"), await pair.open(a, "lock", "l")];
    await pair.ask(a, "lock", {}, lock);
    const waits = pair.ask(a, "recv", {}, box);
    const queued = pair.ask(a, "lock", {}, lock);
    const all = [
      expect(waits).rejects.toThrow(/^EUNKNOWN: the kernel n2 has not been heard of for 6 s/),
      expect(queued).rejects.toThrow(/^EBADF: the kernel n2 .* lock n2.2 is closed/),
    ];
    await pair.quiet();
    await kill(1);
    await beats(pair.here, LOST_BEATS);
    await Promise.all(all);
    await expect(pair.ask(a, "send", {}, box)).rejects.toThrow(/^EBADF/);
    await expect(pair.open(a, "lock", "l")).rejects.toThrow(/^EAGAIN: the kernel n2 can not/);
  });

  it("and is started again is another: calls under way are EUNKNOWN, and all is opened anew", async () => {
    const { line, pair, kill } = await world();
    const a = pair.agent();
    const box = await pair.open(a, "mailbox", "m");
    const waits = pair.ask(a, "recv", {}, box);
    await pair.quiet();
    await kill(1);
    const again = new IpcWorld(2);
    again.wall = 60_000;
    const said = expect(waits).rejects.toThrow(/^EUNKNOWN: the kernel n2 was started again/);
    again.kernel.ipc.connect(again.kernel, line.join());
    await pair.pass(BEAT_US);
    await said;
    await expect(pair.ask(a, "send", {}, box)).rejects.toThrow(/^EBADF/);
    const fresh = await pair.open(a, "mailbox", "m");
    await pair.ask(a, "send", { body: bytes("x") }, fresh);
    expect((await pair.ask(a, "recv", {}, fresh)).body.toString()).toBe("x");
    again.kernel.ipc.close();
  });

  it("or only slept comes back with nothing held, and the late holder is told", async () => {
    const { pair, beats } = await world();
    const [a, b] = [pair.agent(), pair.peer()];
    const [far, near] = [await pair.open(a, "lock", "l"), await pair.open(b, "lock", "l")];
    const { token } = await pair.ask(a, "lock", {}, far);
    const next = pair.ask(b, "lock", {}, near);
    // Deaf and dumb: nothing comes of it, while what it is told stays unread.
    await beats(pair.there, LOST_BEATS);
    await next;
    await pair.pass(BEAT_US);
    await expect(pair.ask(a, "unlock", { token }, far)).rejects.toThrow(/^EBADF/);
    await pair.open(a, "lock", "l");
  });

  it("and one that ends in order is gone at once", async () => {
    const { pair } = await world();
    const [a, b] = [pair.agent(), pair.peer()];
    const [far, near] = [await pair.open(a, "lock", "l"), await pair.open(b, "lock", "l")];
    await pair.ask(a, "lock", {}, far);
    const next = pair.ask(b, "lock", {}, near);
    pair.here.kernel.ipc.close();
    expect((await next).token).toBe(2n);
  });
});

describe("what can not be", () => {
  it("is said: no such kernel, no such place, no line at all", async () => {
    const { pair } = await world();
    const a = pair.agent();
    await pair.pass(BEAT_US);
    await pair.pass(BEAT_US);
    const at = (node: string) => pair.ask(a, "open", { type: "lock", name: "l", node });
    await expect(at("n7")).rejects.toThrow(/^ESRCH: there is no kernel n7; known here are n1, n2/);
    await expect(at("two")).rejects.toThrow(/^EINVAL: node is "two"/);
    await expect(at("n0")).rejects.toThrow(/^EINVAL/);
    expect((await at("n1")).id >> 52n).toBe(1n);
    const topic = pair.ask(a, "open", { type: "topic", name: "t", node: "n2" });
    await expect(topic).rejects.toThrow(/^EINVAL: a topic is on all kernels/);
    await expect(pair.ask(a, "send", { pid: (7n << 52n) | 1n })).rejects.toThrow(/^ESRCH/);
    await expect(pair.ask(a, "send", { pid: (2n << 52n) | 99n })).rejects.toThrow(/^ESRCH/);
    const alone = new IpcWorld();
    const lonely = alone.ask(alone.agent(), "open", { type: "lock", name: "l", node: "n2" });
    await expect(lonely).rejects.toThrow(/^ESRCH: there is no kernel n2: .* NATS/);
  });

  it("is refused where it would happen: another's process, handles, what a guest is not", async () => {
    const { pair } = await world();
    const [a, bob, b] = [pair.agent(), pair.peer("bob"), pair.peer()];
    await expect(pair.ask(a, "send", { pid: bob })).rejects.toThrow(/^EPERM: .* another principal/);
    const poor = pair.here.process({ gifts: [] });
    await expect(pair.ask(poor, "send", { pid: b })).rejects.toThrow(/^EPERM/);
    const lock = await pair.open(a, "lock", "l");
    const gift = pair.ask(a, "send", { pid: b, handles: [lock] });
    await expect(gift).rejects.toThrow(/^EINVAL: handles go to a process of the same kernel/);
    await expect(pair.ask(b, "kill", { pid: a, signal: "TERM" })).rejects.toThrow(/^ESRCH/);
    await expect(pair.ask(a, "kill", { pid: b, signal: "TERM" })).rejects.toThrow(/^ESRCH/);
    // To the caller's own inbox, where it lives, not to its guest.
    await pair.ask(b, "send", { pid: a, body: bytes("back") });
    expect(await pair.ask(a, "recv")).toMatchObject({ body: bytes("back"), from: b });
  });

  it("is no matter of the line: what is longer than it takes goes in pieces", async () => {
    const { pair } = await world(500);
    const [a, b] = [pair.agent(), pair.peer()];
    const body = Buffer.alloc(100_000, "0123456789");
    await pair.ask(a, "send", { pid: b, body });
    expect((await pair.ask(b, "recv")).body.equals(body)).toBe(true);
    const much = pair.ask(a, "send", { pid: b, body: Buffer.alloc(64 << 20) });
    await expect(much).rejects.toThrow(/^EMSGSIZE/);
  });

  it("is not believed: frames that are none, calls that are not for afar, processes of others", async () => {
    const { line, pair } = await world();
    const liar = line.join();
    const b = pair.peer();
    const to = subjectOf(2);
    for (const junk of [Buffer.alloc(0), Buffer.alloc(100, 0xff), bytes("junk")]) {
      liar.publish(to, junk);
      liar.publish("$kernel.all", junk);
    }
    const heard = liar.subscribe(subjectOf(9));
    let seq = 0n;
    const say = (frame: NonNullable<BetweenFrame["frame"]>): void => {
      const body = Buffer.from(BetweenFrame.encode({ frame }).finish());
      const packet = BetweenPacket.fromPartial({ node: 9, from: 1n, to: theirs, seq: ++seq, body });
      liar.publish(to, BetweenPacket.encode(packet).finish());
    };
    let theirs = 0n;
    const hello = BetweenPacket.fromPartial({ node: 9, from: 1n });
    liar.publish(to, BetweenPacket.encode(hello).finish());
    for await (const { body } of heard) {
      theirs = BetweenPacket.decode(body).from;
      break;
    }
    const call = { seq: 1n, handle: 0, timeoutUs: 0n, ackedThrough: 0n, credit: 0 };
    const exit = { ...call, call: { $case: "exit" as const, value: { code: 0 } } };
    const recv = { from: 0n, requests: false, visibilityUs: 0n };
    const receive = { ...call, call: { $case: "recv" as const, value: recv } };
    const mine = (9n << 52n) | 1n;
    const by = { run: 1, principal: "alice", on: undefined };
    say({ $case: "call", value: { n: 1n, pid: mine, ...by, call: exit } });
    say({ $case: "call", value: { n: 2n, pid: b, ...by, call: receive } });
    say({ $case: "call", value: { n: 3n, pid: mine, ...by, call: undefined } });
    say({ $case: "over", value: { pid: b, again: false } });
    say({ $case: "held", value: { pid: b, ...by, type: "lock", id: 1n, rights: [63] } });
    say({ $case: "gone", value: { type: "mailbox", id: 1n } });
    say({ $case: "reply", value: { n: 1n, reply: undefined } });
    await pair.quiet();
    expect(pair.state.processes.get(b)?.exit).toBeUndefined();
    expect(pair.state.processes.size).toBe(1);
    const a = pair.agent();
    await pair.ask(a, "send", { pid: b, body: bytes("still here") });
    expect((await pair.ask(b, "recv")).body.toString()).toBe("still here");
  });
});

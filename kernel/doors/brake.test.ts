/** Who sends what says nothing is read as slowly as he may send it; nothing of his is lost. */
import { describe, expect, it } from "vitest";
import { ContixError } from "../../proto/errno.js";
import { ClientFrame, Hello, Syscall } from "../../proto/gen/contix/v1/kernel.js";
import { BareKernel } from "../../test/support/bare-kernel.js";
import type { Port } from "../trap.js";
import type { Authenticator } from "./authenticate.js";
import { DoorBook } from "./books.js";
import { DoorSession, type Frame } from "./session.js";
import { Malformed } from "./strict.js";

const SECOND = 1_000_000;
/** What a principal may send at once. */
const BURST = 200;
const BAD = new Malformed(new ContixError("EPROTO", "malformed message"));
const EMPTY = ClientFrame.fromPartial({});
const call = (seq: number, name = "uname"): ClientFrame => {
  const of = { $case: name, value: {} } as never;
  return { frame: { $case: "call", value: Syscall.fromPartial({ seq: BigInt(seq), call: of }) } };
};

interface Session {
  readonly session: DoorSession;
  readonly pid: bigint;
  readonly book: DoorBook;
  /** Replies: the seq of a call, or the error of what was none. */
  readonly heard: (number | string)[];
  readonly pipe: { reading: boolean; behind: boolean; cut: number };
}

/** A session of that principal; `canWait`: its pipe stops the sender, as gRPC does. */
async function open(bare: BareKernel, principal = "alice", canWait = true): Promise<Session> {
  const { kernel } = bare;
  const of = { parent: 0n, name: "p", principal, nice: 0, spawned: false };
  const { pid } = kernel.procs.create(of);
  const auth = { attach: async (_: Hello, port: Port) => kernel.procs.attach(pid, port) };
  const heard: (number | string)[] = [];
  const state = { reading: true, behind: false, cut: 0 };
  const book = new DoorBook("grpc");
  const pipe = {
    book,
    send: (frame: Frame) => {
      if (frame.$case !== "reply") return true;
      const { seq, result } = frame.value;
      heard.push(seq === 0n && result?.$case === "error" ? result.value.name : Number(seq));
      return !state.behind;
    },
    end() {},
    pause: () => {
      state.reading = false;
    },
    resume: () => {
      state.reading = true;
    },
    ...(canWait ? {} : { hangUp: () => void state.cut++ }),
  };
  const session = new DoorSession(kernel, auth as unknown as Authenticator, pipe);
  await session.hello(Hello.fromPartial({}));
  return { session, pid, book, heard, pipe: state };
}

/** Sends as many as a principal may, so that the next one is too many. */
function spend({ session, heard }: Session, n = BURST - 1): void {
  for (let i = 0; i < n; i++) session.receive(BAD);
  heard.length = 0;
}

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe("a session that sends faults", () => {
  it("is read as long as there are few", async () => {
    const one = await open(new BareKernel());
    for (let i = 0; i < BURST - 1; i++) one.session.receive(BAD);
    expect(one.heard).toEqual(Array(BURST - 1).fill("EPROTO"));
    expect(one.pipe.reading).toBe(true);
    expect([one.book.faults, one.book.braked]).toEqual([BURST - 1, 0]);
  });

  it("pays for what was not its to send, and is denied when that is read", async () => {
    const bare = new BareKernel();
    const one = await open(bare);
    let denied = 0;
    const decode = () => {
      denied++;
      return new Malformed(new ContixError("EPERM", "another's"));
    };
    for (let i = 0; i < BURST + 9; i++) one.session.receive({ bytes: 1, decode });
    expect([denied, one.book.faults, one.pipe.reading]).toEqual([BURST, BURST, false]);
    bare.pass(SECOND);
    expect(denied).toBe(BURST + 9);
    expect(one.heard).toEqual(Array(denied).fill("EPERM"));
  });

  it.each([
    ["what cannot be decoded", BAD],
    ["an empty frame", EMPTY],
    ["a second hello", ClientFrame.fromPartial({ frame: { $case: "hello", value: {} } })],
    ["a call that is empty", { frame: { $case: "call", value: Syscall.fromPartial({ seq: 7n }) } }],
    ["a call under the name 0", call(0)],
  ] as const)("is not read for a while after %s", async (_, frame) => {
    const bare = new BareKernel();
    const one = await open(bare);
    spend(one);
    one.session.receive(frame as ClientFrame);
    expect(one.pipe.reading).toBe(false);
    bare.pass(SECOND / 20);
    expect(one.pipe.reading).toBe(true);
    expect(one.book).toMatchObject({ faults: BURST, braked: 1 });
  });

  it("is not held up by calls that fail", async () => {
    const one = await open(new BareKernel());
    spend(one);
    for (let seq = 1; seq <= 50; seq++) one.session.receive(call(seq, "ctxStat"));
    expect(one.pipe.reading).toBe(true);
    expect(one.heard).toEqual(numbers(1, 50));
  });

  it("has what it sent meanwhile taken later, once each and in order", async () => {
    const bare = new BareKernel();
    const one = await open(bare);
    spend(one);
    one.session.receive(BAD);
    one.session.receive(call(1));
    one.session.receive(call(2));
    one.session.receive(BAD);
    one.session.receive(call(3));
    expect(one.heard).toEqual(["EPROTO"]);
    bare.pass(SECOND / 20);
    expect(one.heard).toEqual(["EPROTO", 1, 2, "EPROTO"]);
    expect(one.pipe.reading).toBe(false);
    // What comes now stands behind what waits.
    one.session.receive(call(4));
    bare.pass(SECOND / 20);
    expect(one.heard).toEqual(["EPROTO", 1, 2, "EPROTO", 3, 4]);
    expect(one.pipe.reading).toBe(true);
    bare.pass(60 * SECOND);
    expect(one.heard).toHaveLength(6);
  });

  it("pays for all of its principal's, and leaves others alone", async () => {
    const bare = new BareKernel();
    const [one, two, other] = [await open(bare), await open(bare), await open(bare, "bob")];
    spend(one, BURST + 10);
    expect(one.pipe.reading).toBe(false);
    two.session.receive(call(1));
    expect(two.heard).toEqual([1]);
    other.session.receive(BAD);
    other.session.receive(call(1));
    expect(other.heard).toEqual(["EPROTO", 1]);
    expect(other.pipe.reading).toBe(true);
    two.session.receive(BAD);
    expect(two.pipe.reading).toBe(false);
  });

  it("leaves no timer when it is over, whoever ends it", async () => {
    for (const end of ["lost", "left"] as const) {
      const bare = new BareKernel();
      const one = await open(bare);
      const before = bare.timers;
      spend(one, BURST);
      expect(bare.timers).toBe(before + 1);
      one.session.receive(call(1));
      one.session[end]();
      // Who was lost may come back for a while: that is the process's timer.
      expect(bare.timers).toBe(end === "lost" ? before + 1 : before);
      bare.pass(60 * SECOND);
      expect(one.heard).toEqual([]);
      expect(bare.timers).toBe(0);
    }
  });
});

describe("of two reasons not to read on", () => {
  it("a reader who has caught up does not end the brake", async () => {
    const bare = new BareKernel();
    const one = await open(bare);
    spend(one);
    one.pipe.behind = true;
    one.session.receive(BAD);
    one.session.receive(call(1));
    one.pipe.behind = false;
    one.session.drained();
    expect([one.pipe.reading, one.heard]).toEqual([false, ["EPROTO"]]);
    bare.pass(SECOND / 20);
    expect([one.pipe.reading, one.heard]).toEqual([true, ["EPROTO", 1]]);
  });

  it("the brake's end does not read whose reader is behind", async () => {
    const bare = new BareKernel();
    const one = await open(bare);
    spend(one);
    one.pipe.behind = true;
    one.session.receive(BAD);
    one.session.receive(call(1));
    bare.pass(SECOND / 20);
    expect([one.pipe.reading, one.heard]).toEqual([false, ["EPROTO"]]);
    one.pipe.behind = false;
    one.session.drained();
    expect([one.pipe.reading, one.heard]).toEqual([true, ["EPROTO", 1]]);
  });
});

describe("where a pause stops nobody", () => {
  it("so many frames are held, and whoever sends more is hung up on, with a time", async () => {
    const bare = new BareKernel();
    const one = await open(bare, "alice", false);
    spend(one, BURST);
    for (let seq = 1; seq <= 64; seq++) one.session.receive(call(seq));
    expect([one.pipe.cut, one.session.over]).toEqual([0, false]);
    one.session.receive(call(65));
    expect(one.heard).toEqual(["EAGAIN"]);
    expect([one.pipe.cut, one.session.over]).toEqual([1, true]);
    // Its process is detached, and may come back.
    expect(bare.state.processes.get(one.pid)?.exit).toBeUndefined();
    const debt = (principal: string) => bare.kernel.rates.faults.debt(principal).waitUs;
    expect([debt("alice"), debt("bob")]).toEqual([2_050_000, 0]);
    bare.pass(2_050_000);
    expect(debt("alice")).toBe(0);
  });

  it("so many bytes are held, of however few frames, and none of them is decoded", async () => {
    const bare = new BareKernel();
    const one = await open(bare, "alice", false);
    spend(one, BURST);
    let decoded = 0;
    const decode = (): Malformed => {
      decoded++;
      return BAD;
    };
    const large = (bytes: number) => ({ bytes, decode });
    one.session.receive(large(1 << 20));
    bare.pass(SECOND / 20);
    // What was taken is held no more.
    expect([decoded, one.session.over]).toEqual([1, false]);
    one.session.receive(large(1 << 19));
    one.session.receive(large(1 << 19));
    expect(one.pipe.cut).toBe(0);
    one.session.receive(large(1));
    expect([one.pipe.cut, decoded]).toEqual([1, 1]);
  });

  it("what was held is taken when the time is over", async () => {
    const bare = new BareKernel();
    const one = await open(bare, "alice", false);
    spend(one, BURST);
    for (const seq of numbers(1, 60)) one.session.receive(call(seq));
    bare.pass(SECOND);
    expect(one.heard).toEqual(numbers(1, 60));
    expect(one.pipe.cut).toBe(0);
  });
});

import { describe, expect, it } from "vitest";
import { ContixError } from "../proto/errno.js";
import { type Reply, Syscall } from "../proto/gen/contix/v1/kernel.js";
import { BareKernel } from "../test/support/bare-kernel.js";
import { BOUNDS_US } from "./call-times.js";
import { EVERYONE, RIGHTS } from "./cap/rights.js";
import type { Live } from "./in-flight.js";
import { SYSCALLS } from "./table.js";

/** A kernel with one process, its replies, and the audit's sync in the test's hand. */
function world() {
  const bare = new BareKernel();
  const object = { type: "principal", id: EVERYONE } as const;
  const pid = bare.process({ gifts: [{ parent: 0n, object, rights: RIGHTS.admin }] });
  const replies: Reply[] = [];
  const port = {
    reply: (reply: Reply) => void replies.push(reply),
    chunk() {},
    signal() {},
    close() {},
  };
  bare.kernel.trap.attach(pid, port, "same");
  const enter = (call: NonNullable<Syscall["call"]>, seq = 1n): boolean =>
    bare.kernel.trap.enter(pid, Syscall.fromPartial({ seq, call } as Partial<Syscall>));
  return { bare, pid, replies, enter };
}
const ALARM = { $case: "alarm" as const, value: { us: 5_000_000n } };
const LOG = { $case: "log" as const, value: { level: "", message: "once", fields: "" } };
const says = (replies: readonly Reply[]): string[] =>
  replies.flatMap(({ result }) =>
    result?.$case === "error" ? [`${result.value.name}: ${result.value.message}`] : [],
  );
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a repeated call", () => {
  it("is answered, as the first time, when the audit has it", async () => {
    const { bare, replies, enter } = world();
    let durable = (): void => {};
    const synced = new Promise<void>((resolve) => {
      durable = resolve;
    });
    Object.assign(bare.kernel.audit, { sync: () => synced });
    enter(ALARM);
    enter(ALARM);
    await turn();
    expect(replies).toEqual([]);
    durable();
    await turn();
    expect(replies).toHaveLength(2);
    expect(replies[1]).toEqual(replies[0]);
    expect(bare.audit.filter(({ call }) => call === "time.alarm")).toHaveLength(1);
  });
});

describe("what comes in as a call", () => {
  it("is none without a call in it, or under a name that it can not have", () => {
    const { bare, pid, enter } = world();
    const { trap } = bare.kernel;
    expect(enter(ALARM, 5n)).toBe(true);
    expect(enter(ALARM, 5n)).toBe(true);
    expect(enter(LOG, 5n)).toBe(false);
    expect(enter(LOG, 0n)).toBe(false);
    expect(trap.enter(pid, Syscall.fromPartial({ seq: 6n }))).toBe(false);
    // What is wrong with it otherwise is its answer.
    expect(enter({ $case: "kill", value: { pid: 99n, signal: "TERM" } } as never, 7n)).toBe(true);
    trap.drain();
    expect(enter(ALARM, 8n)).toBe(true);
  });
});

describe("a process that is stopped", () => {
  it("holds no calls that are over, however many it makes, and begins the others later", async () => {
    const { bare, pid, replies, enter } = world();
    bare.kernel.procs.signal(pid, "STOP", 0n);
    const call = { $case: "heartbeat" as const, value: {} };
    const { trap } = bare.kernel;
    for (let seq = 1n; seq <= 10_000n; seq++) {
      trap.enter(pid, Syscall.fromPartial({ seq, call, timeoutUs: 1n }));
      bare.pass(1);
    }
    enter(call, 10_001n);
    enter(call, 10_002n);
    trap.cancel(pid, 10_002n);
    const { held } = (trap as unknown as { live(pid: bigint): Live }).live(pid);
    expect([...held.keys()]).toEqual([10_001n]);
    replies.length = 0;
    bare.kernel.procs.signal(pid, "CONT", 0n);
    expect(replies.map(({ seq, result }) => [seq, result?.$case])).toEqual([
      [10_001n, "heartbeat"],
    ]);
    expect(held.size).toBe(0);
  });
});

describe("while the audit log can not be written", () => {
  it("nothing is changed, but what only takes away", async () => {
    const { bare, pid, replies, enter } = world();
    Object.assign(bare.kernel.audit, {
      admit: (taking?: bigint) => {
        if (taking !== pid) throw new ContixError("ENOSPC", "no room");
      },
    });
    const handle = bare.handle(pid, { type: "topic", id: "t" }, RIGHTS.read);
    enter(ALARM, 1n);
    bare.kernel.trap.enter(
      pid,
      Syscall.fromPartial({ seq: 2n, handle, call: { $case: "capClose", value: {} } }),
    );
    enter({ $case: "capList", value: {} }, 3n);
    await turn();
    const results = replies.map(({ seq, result }) => [seq, result?.$case]);
    expect(new Map(results as [bigint, string][])).toEqual(
      new Map([
        [1n, "error"],
        [2n, "capClose"],
        [3n, "capList"],
      ]),
    );
    expect(bare.state.processes.get(pid)?.handles.has(handle)).toBe(false);
  });

  it("these are the calls that only take away", () => {
    const takes = Object.values(SYSCALLS).filter((row) => row.takes);
    expect(takes.map(({ name }) => name)).toEqual([
      ...["ctx.close", "proc.kill", "proc.exit", "proc.stop", "proc.stopGroup", "ipc.remove"],
      ...["time.unschedule", "cap.revoke", "cap.close", "principal.remove", "key.revoke"],
    ]);
  });
});

describe("limits of one process", () => {
  it("bound its calls in flight, and its results that nobody acknowledged", async () => {
    const { bare, replies, enter } = world();
    Object.assign(bare.kernel.config.limits, { callsPerProcess: 2, unackedResults: 2 });
    const sleep = { $case: "sleep" as const, value: { us: 1000n } };
    for (let seq = 1n; seq <= 3n; seq++) enter(sleep, seq);
    expect(says(replies)).toEqual(["EAGAIN: 2 calls of this process are in flight"]);
    bare.pass(1000);
    replies.length = 0;
    for (let seq = 4n; seq <= 6n; seq++) enter(ALARM, seq);
    await turn();
    expect(says(replies)).toContain("EAGAIN: too many results wait to be acknowledged");
    expect(replies.filter(({ result }) => result?.$case === "alarm")).toHaveLength(2);
  });
});

describe("an external call", () => {
  it("is recorded before it begins, and its intent goes with its result", async () => {
    const { bare, pid, replies, enter } = world();
    const seen: number[] = [];
    const intents = () => bare.state.processes.get(pid)?.intents.size ?? -1;
    Object.assign(bare.kernel.log, { info: () => void seen.push(intents()) });
    enter(LOG);
    await turn();
    expect(seen).toEqual([1]);
    expect(replies[0]?.result?.$case).toBe("log");
    expect(intents()).toBe(0);
  });

  it("that a crash cut off is EUNKNOWN when it is asked again, and not done again", async () => {
    const { bare, pid, replies, enter } = world();
    const done: string[] = [];
    Object.assign(bare.kernel.log, { info: (_: object, text: string) => void done.push(text) });
    // What the journal holds after a crash in the middle: the intent, and no result.
    const { append } = bare.kernel.journal;
    let digest = "";
    bare.kernel.journal.append = (...records) => {
      for (const record of records) if (record.type === "call.intent") digest = record.digest;
      append(...records.filter(({ type }) => type !== "call.done"));
    };
    enter(LOG);
    await turn();
    expect(digest).not.toBe("");
    bare.kernel.journal.append = append;
    replies.length = 0;
    enter(LOG);
    enter({ ...LOG, value: { ...LOG.value, message: "other" } });
    await turn();
    const names = replies.map(({ result }) => (result?.$case === "error" ? result.value.name : ""));
    expect(names).toEqual(["EUNKNOWN", "EEXIST"]);
    expect(done).toEqual(["once"]);
    bare.kernel.trap.ack(pid, 1n);
    expect(bare.state.processes.get(pid)?.intents.size).toBe(0);
  });
});

describe("what the trap bounds", () => {
  const outcomes = (replies: readonly Reply[]) =>
    replies.map(({ result }) => (result?.$case === "error" ? result.value.name : "ok"));
  const limit = (bare: BareKernel, limits: Partial<BareKernel["kernel"]["config"]["limits"]>) =>
    Object.assign(bare.kernel.config.limits, limits);
  const SLEEP = { $case: "sleep" as const, value: { us: 1000n } };
  const HANDLES = { $case: "capList" as const, value: {} };

  it("is calls in flight of a process: one more is EAGAIN, until one is over", async () => {
    const { bare, replies, enter } = world();
    limit(bare, { callsPerProcess: 2 });
    for (const seq of [1n, 2n, 3n]) enter(SLEEP, seq);
    await turn();
    expect(outcomes(replies)).toEqual(["EAGAIN"]);
    bare.pass(1000);
    enter(SLEEP, 4n);
    await turn();
    expect(outcomes(replies)).toEqual(["EAGAIN", "ok", "ok"]);
  });

  it.each([{ unackedResults: 2 }, { unackedBytes: 1 }])(
    "is results that nobody has acknowledged: %o",
    async (bound) => {
      const { bare, pid, replies, enter } = world();
      enter(ALARM, 1n);
      enter(ALARM, 2n);
      await turn();
      limit(bare, bound);
      enter(ALARM, 3n);
      bare.kernel.trap.ack(pid, 2n);
      enter(ALARM, 4n);
      await turn();
      // The refusal is not late: what was durable is answered a turn after it.
      expect(outcomes(replies).sort()).toEqual(["EAGAIN", "ok", "ok", "ok"]);
    },
  );

  it("is what the audit has room for: without it nothing changes, and what changes nothing goes on", async () => {
    const { bare, replies, enter } = world();
    const full = new ContixError("ENOSPC", "the disk is full");
    Object.assign(bare.kernel.audit, {
      admit() {
        throw full;
      },
    });
    enter(ALARM, 1n);
    enter(HANDLES, 2n);
    await turn();
    expect(outcomes(replies).sort()).toEqual(["ENOSPC", "ok"]);
    expect(bare.state.time.alarms.size).toBe(0);
  });
});

describe("the kernel's own time", () => {
  it("is counted by the call, from its arrival to its answer", () => {
    const { bare, enter } = world();
    const { times } = bare.kernel.trap;
    enter({ $case: "sleep", value: { us: 700n } }, 1n);
    expect(times.figures).toEqual([]);
    bare.pass(700);
    const [sleep] = times.figures;
    expect([sleep?.call, sleep?.sumUs]).toEqual(["time.sleep", 700n]);
    const at = BOUNDS_US.findIndex((bound) => bound >= 700);
    expect(sleep?.bucket[at]).toBe(1n);
    expect(sleep?.bucket).toHaveLength(BOUNDS_US.length + 1);
    bare.kernel.trap.times.add("time.sleep", 1e12);
    expect(times.figures[0]?.bucket.at(-1)).toBe(1n);
  });
});

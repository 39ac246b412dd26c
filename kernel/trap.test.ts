import { describe, expect, it } from "vitest";
import { type Reply, Syscall } from "../proto/gen/contix/v1/kernel.js";
import { BareKernel } from "../test/support/bare-kernel.js";
import { EVERYONE, RIGHTS } from "./cap/rights.js";
import type { Live } from "./in-flight.js";

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
  const enter = (call: NonNullable<Syscall["call"]>, seq = 1n): void =>
    bare.kernel.trap.enter(pid, Syscall.fromPartial({ seq, call } as Partial<Syscall>));
  return { bare, pid, replies, enter };
}
const ALARM = { $case: "alarm" as const, value: { us: 5_000_000n } };
const LOG = { $case: "log" as const, value: { level: "", message: "once", fields: "" } };
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

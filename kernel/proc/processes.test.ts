/** The process table on a kernel of stubs: no door, no driver, a clock that stands still. */
import { describe, expect, it } from "vitest";
import { tokenHash } from "../cap/tokens.js";
import { systemRandomness } from "../clock.js";
import { memoryJournal } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { silentLog } from "../log.js";
import type { Port } from "../trap.js";
import { Accounts } from "./accounts.js";
import { Processes } from "./processes.js";

function table(limit: number) {
  const journal = memoryJournal();
  const accounts = new Accounts();
  const timers = new Set<() => void>();
  const ports = new Map<bigint, Port>();
  const after = (_: number, fn: () => void) => {
    timers.add(fn);
    return () => void timers.delete(fn);
  };
  const kernel = {
    ...{ journal, accounts, log: silentLog, random: systemRandomness },
    config: { home: "/home", detachGraceMs: 5, limits: { processes: limit } },
    clock: { now: () => 0, wall: () => 0, after },
    trap: { forget() {}, attach() {}, detach: () => true, port: (pid: bigint) => ports.get(pid) },
    ...{ rates: { checkProcesses() {}, forget() {} }, ask: { gone() {} } },
    ...{ ipc: { processOver() {} }, time: { processOver() {} } },
    life: { close: ({ cid }: { cid: bigint }) => ({ type: "ctx.closed", cid }) },
    rates: { checkProcesses() {}, forget() {} },
    ...{ ask: { gone() {} }, ipc: { processOver() {} }, time: { processOver() {} } },
  } as unknown as Kernel;
  const procs = new Processes(kernel);
  const create = (parent: bigint, spawned = true) =>
    procs.create({ parent, name: "p", principal: "admin", nice: 0, spawned });
  return { procs, create, journal, accounts, timers, ports };
}

const port = { reply() {}, chunk() {}, signal() {}, close() {} };

/** An OS process that notes its signals, and ends at KILL. */
function os(onGone: () => void) {
  const signals: string[] = [];
  let end = (): void => {};
  const gone = new Promise<void>((resolve) => {
    end = resolve;
  });
  const signal = (name: string): void => {
    signals.push(name);
    if (name !== "SIGKILL") return;
    onGone();
    end();
  };
  return { osPid: 7, gone, signal, signals };
}

describe("the process table", () => {
  it("keeps room for the operator when agents have taken all", () => {
    const { procs, create } = table(3);
    const parent = create(0n, false).pid;
    create(parent);
    // Dead children that nobody waits for count too.
    procs.exited(create(parent).pid, 0, "exit");
    expect(() => create(parent)).toThrow(expect.objectContaining({ code: "EAGAIN" }));
    for (let i = 0; i < 32; i++) create(0n, false);
    expect(() => create(0n, false)).toThrow(expect.objectContaining({ code: "EAGAIN" }));
  });

  it("closes the books of who is reaped, by a parent or as an orphan", () => {
    const { procs, create, journal, accounts } = table(100_000);
    for (let i = 0; i < 400; i++) {
      const { pid } = create(0n, false);
      accounts.of(pid).syscalls++;
      procs.exited(pid, 0, "exit");
    }
    expect(journal.state.processes.size).toBe(256);
    const { pid } = create(0n);
    accounts.of(pid).syscalls = 5;
    procs.exited(pid, 0, "exit");
    journal.append(procs.reap(pid));
    expect(accounts.of(pid).syscalls).toBe(0);
  });

  it("ends an OS process that comes when its process is over", () => {
    const { procs, create } = table(9);
    const { pid } = create(0n);
    procs.kill(pid);
    const late = os(() => {});
    procs.started(pid, late);
    expect(late.signals).toEqual(["SIGKILL"]);
    expect(procs.osPid(pid)).toBe(0);
  });

  it("ends those too that start while all are ended", async () => {
    const { procs, create, timers } = table(9);
    const [a, b] = [create(0n).pid, create(0n).pid];
    const early = os(() => procs.exited(a, 137, "signal KILL"));
    procs.started(a, early);
    const ending = procs.endAll(1000);
    const late = os(() => procs.exited(b, 137, "signal KILL"));
    procs.started(b, late);
    expect(late.signals).toEqual(["SIGKILL"]);
    expect(early.signals).toEqual(["SIGTERM"]);
    for (const fire of timers) fire();
    await ending;
    expect(early.signals).toEqual(["SIGTERM", "SIGKILL"]);
    expect(procs.get(a)?.exit?.code).toBe(137);
  });

  it("asks agents to end at shutdown, and leaves programs started elsewhere alone", async () => {
    const { procs, create, ports } = table(9);
    const told: bigint[] = [];
    const agent = create(0n).pid;
    const foreign = create(0n, false).pid;
    for (const pid of [agent, foreign]) ports.set(pid, { ...port, signal: () => told.push(pid) });
    await procs.endAll(1000);
    expect(told).toEqual([agent]);
    expect(procs.get(foreign)?.exit?.cause).toBe("shutdown");
  });

  it("waits for a lost stream, then ends; a stream that is back in time stops that", () => {
    const { procs, create, timers } = table(9);
    const { pid } = create(0n, false);
    const { run, resumeToken } = procs.attach(pid, port);
    procs.lost(pid, port);
    expect(timers.size).toBe(1);
    procs.resume(pid, run, resumeToken, port);
    expect(timers.size).toBe(0);
    procs.lost(pid, port);
    for (const fire of timers) fire();
    expect(procs.get(pid)?.exit?.cause).toBe("detached");
    const again = (): unknown => procs.resume(pid, run, resumeToken, port);
    expect(again).toThrow(expect.objectContaining({ code: "EACCES" }));
  });

  it("knows a spawned agent by its token, once, while it lives", () => {
    const { procs, create, journal } = table(9);
    const withToken = (token: string): bigint => {
      const { pid } = create(0n);
      const hash = { tokenHash: tokenHash(token), resumeHash: "" };
      journal.append({ type: "proc.run", pid, run: 0, ...hash });
      return pid;
    };
    const token = "a";
    const pid = withToken(token);
    const other = withToken("b");
    expect(procs.byToken(token)?.pid).toBe(pid);
    expect(procs.byToken("")).toBeUndefined();
    procs.attach(pid, port);
    expect(procs.byToken(token)).toBeUndefined();
    procs.exited(other, 0, "exit");
    expect(procs.byToken("b")).toBeUndefined();
  });
});

/** The process table on a kernel of stubs: no door, no driver, a clock that stands still. */
import { describe, expect, it } from "vitest";
import { Rates } from "../cap/rates/rates.js";
import { tokenHash } from "../cap/tokens.js";
import { systemRandomness } from "../clock.js";
import { ConfigSchema } from "../config.js";
import { memoryJournal } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { silentLog } from "../log.js";
import { PageQuotas } from "../mm/page-quotas.js";
import type { Port } from "../trap.js";
import { Accounts } from "./accounts.js";
import { type Birth, type Born, Processes } from "./processes.js";
import { alone, WATCHED } from "./supervise/births.js";

function table(processes: number, processesPerPrincipal = processes) {
  const journal = memoryJournal();
  const limits = { processes, processesPerPrincipal };
  const config = ConfigSchema.parse({ home: "/home", detachGraceMs: 5, limits });
  const accounts = new Accounts();
  const timers = new Set<() => void>();
  const ports = new Map<bigint, Port>();
  const after = (_: number, fn: () => void) => {
    timers.add(fn);
    return () => void timers.delete(fn);
  };
  const clock = { now: () => 0, wall: () => 0, after };
  const kernel = {
    ...{ journal, accounts, config, clock, log: silentLog, random: systemRandomness },
    rates: new Rates({
      clock,
      journal,
      accounts,
      config,
      pages: new PageQuotas(config.limits, journal),
    }),
    trap: {
      forget() {},
      attach: (pid: bigint, port: Port) => void ports.set(pid, port),
      detach: (pid: bigint) => ports.delete(pid) || true,
      port: (pid: bigint) => ports.get(pid),
    },
    life: { close: ({ cid }: { cid: bigint }) => ({ type: "ctx.closed", cid }) },
    ...{ ask: { gone() {} }, ipc: { processOver() {} }, time: { processOver() {} } },
  } as unknown as Kernel;
  const procs = new Processes(kernel);
  Object.assign(kernel, { procs });
  const create = (parent: bigint, spawned = true, more: Partial<Birth> = {}) =>
    procs.create({ parent, name: "p", principal: "admin", nice: 0, spawned, ...more });
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

  it("counts the dead whom nobody waits for as their principal's, and leaves room for others", () => {
    const { processes, processesPerPrincipal } = ConfigSchema.parse({ home: "/home" }).limits;
    const { procs, create, journal } = table(processes, processesPerPrincipal);
    const spawner = create(0n, false, { principal: "bomb" }).pid;
    const end = ({ pid }: Born): bigint => {
      procs.exited(pid, 0, "exit");
      return pid;
    };
    const spawn = () => end(create(spawner, true, { principal: "bomb" }));
    for (let i = 1; i < processesPerPrincipal; i++) spawn();
    expect(spawn).toThrow(expect.objectContaining({ code: "EAGAIN" }));
    const other = create(0n, false, { principal: "other" }).pid;
    for (let i = 0; i < 50; i++) create(other, true, { principal: "other" });
    // One that was waited for makes room, and all of them when who started them is over.
    const last = [...journal.state.processes.keys()].find((pid) => procs.get(pid)?.exit) ?? 0n;
    journal.append(procs.reap(last));
    spawn();
    expect(spawn).toThrow(expect.objectContaining({ code: "EAGAIN" }));
    procs.exited(spawner, 0, "exit");
    create(0n, true, { principal: "bomb" });
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

  it("tells no waiter of a program that could not be started, unless it was the last child", () => {
    const { procs, create, journal } = table(9);
    const parent = create(0n, false).pid;
    const failing = create(parent).pid;
    const child = create(parent).pid;
    const told: string[] = [];
    const wait = () =>
      procs.wait({
        ...{ parent, pid: 0n, failed: ({ code }) => told.push(code) },
        found: ({ pid }) => {
          told.push(`${pid}`);
          journal.append(procs.reap(pid));
        },
      });
    wait();
    procs.discard(failing, "spawn failed");
    expect(told).toEqual([]);
    procs.exited(child, 0, "exit");
    expect(told).toEqual([`${child}`]);
    const last = create(parent).pid;
    wait();
    procs.discard(last, "spawn failed");
    expect(told).toEqual([`${child}`, "ECHILD"]);
    expect(procs.get(last)).toBeUndefined();
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

  it("keeps a signal for who is just being started", () => {
    const { procs, create, journal } = table(9);
    const { pid } = create(0n);
    const process = procs.get(pid);
    if (process) journal.append(...alone(process, { pid, ...WATCHED, policy: "always" }));
    procs.signals.ask(pid, "TERM", 0n);
    const its = os(() => {});
    procs.started(pid, its);
    expect(its.signals).toEqual(["SIGTERM"]);
    // It was asked to end, and is not started again.
    procs.exited(pid, 143, "signal TERM");
    expect(procs.get(pid)?.exit?.cause).toBe("signal TERM");
  });

  it("keeps signals for who has lost its stream, each name once", () => {
    const { procs, create } = table(9);
    const { pid } = create(0n, false);
    const heard: string[] = [];
    const telling = { ...port, signal: ({ name }: { name: string }) => void heard.push(name) };
    const { run, resumeToken } = procs.attach(pid, telling);
    procs.lost(pid, telling);
    for (const name of ["USR1", "TERM", "USR1"]) procs.signal(pid, name, 0n);
    procs.resume(pid, run, resumeToken, telling);
    expect(heard).toEqual(["USR1", "TERM"]);
    procs.lost(pid, telling);
    procs.resume(pid, run, resumeToken, telling);
    expect(heard).toEqual(["USR1", "TERM"]);
  });

  it("takes to the system only what ends a program, once it has attached or is Node's", () => {
    const { procs, create } = table(9);
    const told = (argv: string[], attached: boolean): string[] => {
      const confinement = { memoryBytes: 0, cpuUs: 0, openFiles: 0, permission: false };
      const program = {
        argv,
        env: {},
        cwd: "/",
        confinement: { ...confinement, read: [], write: [] },
      };
      const { pid } = create(0n, true, { program });
      const its = os(() => {});
      procs.started(pid, its);
      if (attached) procs.attach(pid, port);
      procs.lost(pid, port);
      for (const name of ["USR1", "ALRM", "CONT", "TERM"]) procs.signal(pid, name, 0n);
      return its.signals;
    };
    expect(told(["sh", "agent.sh"], false)).toEqual([
      ...["SIGUSR1", "SIGALRM", "SIGCONT", "SIGTERM"],
    ]);
    expect(told(["/usr/bin/node", "agent.js"], false)).toEqual(["SIGCONT", "SIGTERM"]);
    expect(told(["python3", "agent.py"], true)).toEqual(["SIGCONT", "SIGTERM"]);
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

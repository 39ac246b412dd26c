/** Processes: this one, its children, and the table of all. */
import type { ProcInfo as WireProc } from "../proto/gen/contix/v1/calls.js";
import { checkInt, checkText, checkTexts } from "./check.js";
import { ConnectionError } from "./errors.js";
import { type Pid, readId, showId, showIdOrNull } from "./ids.js";
import { type CallOptions, request } from "./invoke.js";
import type { SignalName } from "./signals.js";
import { toMs } from "./usage.js";
import type { Session } from "./wire/session.js";

export interface SpawnOptions extends CallOptions {
  /** Variables besides PATH, HOME and the like, which are the daemon's. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** The working directory; the caller's by default. */
  readonly cwd?: string | undefined;
  /** Shown in `ps`; the program's file name by default. */
  readonly name?: string | undefined;
  /** -20 to 19, as in Unix: lower runs first. */
  readonly nice?: number | undefined;
}

/** How a process ended. */
export interface Exit {
  readonly pid: Pid;
  readonly exitCode: number;
  /** In words: "exit", "signal KILL", "detached", "spawn failed: ...". */
  readonly cause: string;
}

/** A row of the process table. */
export interface ProcInfo {
  readonly pid: Pid;
  readonly parent: Pid | null;
  readonly run: number;
  readonly name: string;
  readonly principal: string;
  readonly state: "new" | "ready" | "running" | "blocked" | "detached" | "zombie";
  /** "slot", "model", "message", "child", "timer", "credit"; "" when it waits on nothing. */
  readonly waitingOn: string;
  readonly nice: number;
  /** The operating system's pid; null for a program that the kernel did not start. */
  readonly osPid: number | null;
  readonly slot: number | null;
  readonly tokensIn: number;
  readonly tokensOut: number;
  readonly syscalls: number;
  readonly queuedMs: number;
  readonly servedMs: number;
  readonly ageMs: number;
  /** The path of its log file, or null. */
  readonly log: string | null;
  readonly contexts: number;
  /** Messages in its mailbox. */
  readonly mail: number;
  /** The models of its contexts. */
  readonly models: readonly string[];
}

/** `os.proc` */
export class Proc {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Starts a program as a child process of this one. `connect()` in it attaches as that child.
   *
   * @example
   * const child = await os.proc.spawn(["node", "worker.js"], { nice: 5 });
   * const { exitCode } = await child.wait();
   */
  async spawn(argv: readonly string[], options: SpawnOptions = {}): Promise<Child> {
    const { nice, env = {}, cwd = process.cwd(), name = "" } = options;
    const args = {
      argv: checkTexts("argv", argv),
      env: Object.entries(env).map(([name, value]) => ({ name, value })),
      cwd: checkText("cwd", cwd),
      name: checkText("name", name),
      nice: nice === undefined ? undefined : checkInt("nice", nice),
    };
    const { pid } = await request(this.#session, { name: "spawn", args }, options);
    return new Child(this, showId(pid));
  }

  /** Waits for the end of a child: the one with `pid`, or the first to end. */
  async wait(pid?: Pid, options?: CallOptions): Promise<Exit> {
    const args = { pid: pid === undefined ? 0n : readId("pid", pid) };
    const exit = await request(this.#session, { name: "wait", args }, options);
    return { ...exit, pid: showId(exit.pid) };
  }

  /** Sends a signal; TERM by default. */
  async kill(pid: Pid, signal: SignalName = "TERM", options?: CallOptions): Promise<void> {
    const args = { pid: readId("pid", pid), signal: checkText("signal", signal) };
    await request(this.#session, { name: "kill", args }, options);
  }

  /** The process table; with `all`, processes that ended and were not waited for too. */
  async ps(
    options: CallOptions & { readonly all?: boolean | undefined } = {},
  ): Promise<ProcInfo[]> {
    const args = { all: options.all ?? false };
    const { procs } = await request(this.#session, { name: "ps", args }, options);
    return procs.map(toInfo);
  }

  /** Changes how a process is preferred: -20 (first) to 19 (last). */
  async nice(pid: Pid, nice: number, options?: CallOptions): Promise<void> {
    const args = { pid: readId("pid", pid), nice: checkInt("nice", nice) };
    await request(this.#session, { name: "nice", args }, options);
  }

  /** Ends this process, here and in the kernel, with an exit code. Does not return. */
  async exit(code = 0): Promise<never> {
    const args = { code: checkInt("code", code) };
    try {
      await request(this.#session, { name: "exit", args });
    } catch (error) {
      // The kernel may hang up before it answers.
      if (!(error instanceof ConnectionError)) throw error;
    }
    process.exit(code);
  }
}

/** A process that this one started. */
export class Child {
  readonly #proc: Proc;
  readonly pid: Pid;

  /** Made by `os.proc.spawn()`. */
  constructor(proc: Proc, pid: Pid) {
    this.#proc = proc;
    this.pid = pid;
  }

  /** Waits for its end. */
  wait(options?: CallOptions): Promise<Exit> {
    return this.#proc.wait(this.pid, options);
  }

  /** Sends it a signal; TERM by default. */
  kill(signal?: SignalName, options?: CallOptions): Promise<void> {
    return this.#proc.kill(this.pid, signal, options);
  }
}

function toInfo({ queuedUs, servedUs, ageUs, ...wire }: WireProc): ProcInfo {
  return {
    ...wire,
    pid: showId(wire.pid),
    parent: showIdOrNull(wire.parent),
    state: wire.state as ProcInfo["state"],
    osPid: wire.osPid || null,
    slot: wire.slot < 0 ? null : wire.slot,
    tokensIn: Number(wire.tokensIn),
    tokensOut: Number(wire.tokensOut),
    syscalls: Number(wire.syscalls),
    queuedMs: toMs(queuedUs),
    servedMs: toMs(servedUs),
    ageMs: toMs(ageUs),
    log: wire.log || null,
  };
}

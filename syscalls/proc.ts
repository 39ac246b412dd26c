/** Processes: this one, its children, and the table of all. */
import type {
  Confinement,
  SpawnResult,
  ProcInfo as WireProc,
} from "../proto/gen/contix/v1/calls.js";
import { type Held, numberOf, type Right, toRights } from "./cap.js";
import { checkCount, checkInt, checkNumber, checkText, checkTexts, checkUint64 } from "./check.js";
import { ConnectionError } from "./errors.js";
import { type Pid, readId, showId, showIdOrNull } from "./ids.js";
import { type CallOptions, request } from "./invoke.js";
import type { Quota } from "./principals.js";
import type { SignalName } from "./signals.js";
import {
  beat,
  type Group,
  type GroupOptions,
  makeGroup,
  type StopOptions,
  type SupervisionOptions,
  setWatchdog,
  stopProcess,
  toSupervision,
} from "./supervise.js";
import { toMs } from "./usage.js";
import type { Session } from "./wire/session.js";

export interface SpawnOptions extends CallOptions, SupervisionOptions {
  /** The id of a group that this process made: `group.spawn()` fills it in. */
  readonly supervisor?: Pid | undefined;
  /** Variables besides PATH, HOME and the like, which are the daemon's. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** The working directory; the caller's by default. */
  readonly cwd?: string | undefined;
  /** Shown in `ps`; the program's file name by default. */
  readonly name?: string | undefined;
  /** -20 to 19, as in Unix: lower runs first. */
  readonly nice?: number | undefined;
  /** Ranks before `nice`; this process's by default. "realtime" is an administrator's. */
  readonly class?: "realtime" | "interactive" | "batch" | undefined;
  /** It leads a process group of its own. Else it joins this process's. */
  readonly newGroup?: boolean | undefined;
  /** It leads a session, which the scheduler takes for one program, and a group. */
  readonly newSession?: boolean | undefined;
  /**
   * What it and all that it spawns may use together, by name: `tokens`, `tokensPerSecond`,
   * `requestsPerSecond`, `processes`, `contexts`, `contextTokens`, `pinnedPages`,
   * `concurrentCalls`, `mailboxBytes` (in their inboxes, and in what they opened). No more
   * than this process has left.
   */
  readonly quota?: Quota | undefined;
  /** What its OS process is held to. */
  readonly confinement?: ConfinementOptions | undefined;
  /** Handles of which it gets copies, with the same rights or fewer: `child.handles` are its numbers. */
  readonly capabilities?: readonly Passed[] | undefined;
  /** It gets no namespace: it reaches nothing but what `capabilities` say. */
  readonly sandbox?: boolean | undefined;
}

export interface ConfinementOptions {
  /** Data that each of its OS processes may hold, bytes; the daemon's `agentMemory` by default. */
  readonly memoryBytes?: number | undefined;
  /** CPU time in all, seconds. */
  readonly cpuSeconds?: number | undefined;
  readonly openFiles?: number | undefined;
  /** Of a Node program: no child processes, workers or addons, no files but its own and those named here. */
  readonly permission?: boolean | undefined;
  /** Absolute paths; a directory stands for all in it. */
  readonly read?: readonly string[] | undefined;
  readonly write?: readonly string[] | undefined;
}

/** A handle that a child gets a copy of. */
export interface Passed {
  readonly handle: Held;
  readonly rights?: readonly Right[] | undefined;
  /** It stays when this process closes its handle, or ends. */
  readonly outlives?: boolean | undefined;
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
  readonly state: "new" | "ready" | "running" | "blocked" | "stopped" | "detached" | "zombie";
  /** "slot", "model", "message", "child", "timer", "credit", "restart"; "" when it waits on nothing. */
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
  readonly class: "realtime" | "interactive" | "batch";
  /** The leaders of its process group and of its session; they may be over. */
  readonly group: Pid;
  readonly session: Pid;
  /** Its restart policy; "": nobody starts it again. */
  readonly restart: string;
  /** Of one that ended. */
  readonly exitCode: number | null;
  /** What its OS process is held to; "": nothing. */
  readonly isolation: string;
  /** Full pages of 16 tokens that its contexts make; those in RAM and in the swap file made for it. */
  readonly pages: number;
  readonly pagesInMemory: number;
  readonly pagesSwapped: number;
  /** How long it has waited on what `waitingOn` names. */
  readonly waitingMs: number;
  /** When its next run begins, of one that waits for that. */
  readonly restartInMs: number | null;
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
    const { capabilities = [], sandbox = false, supervisor } = options;
    const args = {
      argv: checkTexts("argv", argv),
      env: Object.entries(env).map(([name, value]) => ({ name, value })),
      cwd: checkText("cwd", cwd),
      name: checkText("name", name),
      nice: nice === undefined ? undefined : checkInt("nice", nice),
      capabilities: capabilities.map(({ handle, rights, outlives = false }) => {
        return { handle: numberOf(handle), rights: toRights(rights), outlives };
      }),
      sandbox,
      class: checkText("class", options.class ?? ""),
      newGroup: options.newGroup ?? false,
      newSession: options.newSession ?? false,
      quota: toQuota(options.quota ?? {}),
      ...toSupervision(options, supervisor === undefined ? 0n : readId("supervisor", supervisor)),
      confinement: options.confinement && toConfinement(options.confinement),
    };
    const spawned = await request(this.#session, { name: "spawn", args }, options);
    return new Child(this, spawned);
  }

  /** Waits for the end of a child: the one with `pid`, or the first to end. */
  async wait(pid?: Pid, options?: CallOptions): Promise<Exit> {
    const args = { pid: pid === undefined ? 0n : readId("pid", pid) };
    const exit = await request(this.#session, { name: "wait", args }, options);
    return { ...exit, pid: showId(exit.pid) };
  }

  /**
   * Sends a signal; TERM by default. With `group` to all of the group that the process is in.
   * Whoever is asked to end (TERM, INT, KILL) is not started again. Gives the number of
   * processes that were signalled.
   */
  async kill(
    pid: Pid,
    signal: SignalName = "TERM",
    options: CallOptions & { readonly group?: boolean | undefined } = {},
  ): Promise<number> {
    const { group = false } = options;
    const args = { pid: readId("pid", pid), signal: checkText("signal", signal), group };
    return (await request(this.#session, { name: "kill", args }, options)).signalled;
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

  /**
   * A group of processes that restart, and give up, together.
   *
   * @example
   * const team = await os.proc.supervise({ strategy: "one_for_one", max: 3, withinMs: 10_000 });
   * await team.spawn(["node", "worker.js"], { restart: "on-failure", watchdog: 10_000 });
   */
  supervise(options: GroupOptions = {}): Promise<Group> {
    return makeGroup(this.#session, this, options);
  }

  /** Ends a process for good, whatever its restart policy: TERM, then KILL. Resolves when it is over. */
  stop(pid: Pid, options?: StopOptions): Promise<void> {
    return stopProcess(this.#session, pid, options);
  }

  /** Watches this process from now on: without a heartbeat for so long it is killed. 0: no more. */
  watchdog(timeoutMs: number, options?: CallOptions): Promise<void> {
    return setWatchdog(this.#session, timeoutMs, options);
  }

  /** Tells the watchdog that this process is not hung. */
  heartbeat(options?: CallOptions): Promise<void> {
    return beat(this.#session, options);
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
  /** This process's handle on it. */
  readonly handle: number;
  /** Its own handles, for each of `capabilities`. */
  readonly handles: readonly number[];

  /** Made by `os.proc.spawn()`. */
  constructor(proc: Proc, { pid, handle, handles }: SpawnResult) {
    this.#proc = proc;
    this.pid = showId(pid);
    this.handle = handle;
    this.handles = handles;
  }

  /** Waits for its end. */
  wait(options?: CallOptions): Promise<Exit> {
    return this.#proc.wait(this.pid, options);
  }

  /** Sends it a signal; TERM by default. */
  async kill(signal?: SignalName, options?: CallOptions): Promise<void> {
    await this.#proc.kill(this.pid, signal, options);
  }
}

function toQuota(quota: Quota): { quota: string; limit: bigint }[] {
  return Object.entries(quota).map(([name, limit]) => {
    return { quota: name, limit: checkUint64(`quota.${name}`, limit) };
  });
}

function toConfinement(options: ConfinementOptions): Confinement {
  const { memoryBytes = 0, cpuSeconds = 0, openFiles = 0, permission = false } = options;
  return {
    memoryBytes: checkUint64("memoryBytes", memoryBytes),
    cpuUs: checkUint64("cpuSeconds", Math.ceil(checkNumber("cpuSeconds", cpuSeconds) * 1e6)),
    openFiles: checkCount("openFiles", openFiles),
    permission,
    read: checkTexts("read", options.read ?? []),
    write: checkTexts("write", options.write ?? []),
  };
}

function toInfo(info: WireProc): ProcInfo {
  const { queuedUs, servedUs, ageUs, waitingUs, restartInUs, ...wire } = info;
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
    waitingMs: toMs(waitingUs),
    restartInMs: restartInUs === undefined ? null : toMs(restartInUs),
    log: wire.log || null,
    class: wire.class as ProcInfo["class"],
    group: showId(wire.group),
    session: showId(wire.session),
    exitCode: wire.exitCode ?? null,
  };
}

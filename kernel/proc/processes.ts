/**
 * The process table's life: creation, attachment, exit, reaping. What must outlive
 * the daemon is in the journal; here are only the OS processes and the waiters.
 */
import { ContixError } from "../../proto/errno.js";
import type { Gift } from "../cap/births.js";
import { ADMIN } from "../cap/principals.js";
import type { Quota } from "../cap/rates/quota.js";
import { ALL_RIGHTS } from "../cap/rights.js";
import { tokenHash, tokenMatches } from "../cap/tokens.js";
import { secret } from "../clock.js";
import { makeId, showId } from "../ids.js";
import { hasPlace } from "../journal/fold-procs.js";
import type { Process } from "../journal/journal.js";
import type { JournalRecord } from "../journal/records.js";
import type { Kernel } from "../kernel.js";
import type { Port } from "../trap.js";
import { memoryBytes } from "../units.js";
import { Cgroups } from "./cgroups.js";
import { Keeper } from "./keeper.js";
import { Logs } from "./logs.js";
import type { OsProcess } from "./os-process.js";
import { Priorities } from "./priority.js";
import { Signals } from "./signals.js";
import { startProgram } from "./start-program.js";
import { StartTurns } from "./start-turns.js";
import { Stragglers } from "./stragglers.js";
import { Supervisor } from "./supervise/supervisor.js";
import { type Waiter, Waiters } from "./waiters.js";

/** A log file is at least this long, bytes. */
const LOG_BYTES_LEAST = 1 << 16;
/** Zombies that nobody waits for are reaped beyond this many. */
const ZOMBIES_KEPT = 256;
/** Programs started elsewhere, the operator's tools above all, find room when agents have taken all else. */
const RESERVE = 32;

/** What a process is born with. */
export type Birth = Pick<Process, "parent" | "name" | "principal" | "nice" | "spawned"> &
  Partial<Pick<Process, "key" | "scopes" | "class" | "group" | "session" | "program">> & {
    readonly gifts?: readonly Gift[];
    /** What it and all that it spawns may use. */
    readonly quota?: Quota | undefined;
    /** What else is true of it from its birth on. */
    readonly also?: (pid: bigint) => readonly JournalRecord[];
  };

export interface Born {
  readonly pid: bigint;
  /** Its parent's handle on it; 0: it has none. */
  readonly handle: number;
  /** Its own handles, for each of the gifts. */
  readonly handles: readonly number[];
}

export interface Attachment {
  readonly pid: bigint;
  readonly run: number;
  readonly resumeToken: string;
  readonly principal: string;
}

export class Processes {
  readonly #kernel: Kernel;
  readonly #os = new Map<bigint, OsProcess>();
  readonly #grace = new Map<bigint, () => void>();
  readonly #waiters: Waiters;
  #ending = false;
  /** Nobody ever heard of it: no waiter does. */
  #unheard: bigint | undefined;
  /** Who starts programs again that have ended. */
  readonly supervisor: Supervisor;
  readonly signals: Signals;
  readonly logs: Logs;
  /** Who ends what this process leaves behind when it is killed. */
  readonly keeper = new Keeper();
  /** What holds all that an agent has started. */
  readonly cgroups: Cgroups;
  /** What finds it where nothing holds it. */
  readonly stragglers: Stragglers;
  readonly priorities: Priorities;
  readonly starts = new StartTurns();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#waiters = new Waiters(kernel.journal.state);
    this.signals = new Signals(kernel, this.#os);
    this.stragglers = new Stragglers(kernel.random);
    this.priorities = new Priorities(kernel.clock);
    this.cgroups = new Cgroups(this.keeper, kernel.log);
    this.logs = new Logs(
      Math.max(LOG_BYTES_LEAST, memoryBytes(kernel.config.agentLog, 0)),
      kernel.clock,
    );
    this.supervisor = new Supervisor(kernel.journal, kernel.clock, {
      start: async (pid) => void (await startProgram(kernel, pid)),
      signal: (pid, name) => this.signal(pid, name, 0n),
      over: (pid, code, cause) => this.exited(pid, code, cause),
      stopped: (pid) => this.get(pid)?.stopped === true,
    });
  }

  get(pid: bigint): Process | undefined {
    return this.#kernel.journal.state.processes.get(pid);
  }

  /** Creates a process. EAGAIN when there are too many. */
  create({ gifts = [], also = () => [], ...of }: Birth): Born {
    const { journal, config, clock } = this.#kernel;
    const held = this.#held();
    const reserve = of.spawned ? 0 : RESERVE;
    if (held >= config.limits.processes + reserve) {
      throw new ContixError("EAGAIN", `${held} processes are alive or not waited for, the limit`, {
        retryAfterUs: 1_000_000,
      });
    }
    // Who administers gets in beside what his own agents have taken, too.
    const own = of.principal === ADMIN ? reserve : 0;
    this.#kernel.rates.checkProcesses(of.principal, this.get(of.parent)?.budgets, own);
    const pid = makeId(journal.node, journal.state.counters.pid + 1);
    const log = of.spawned ? `${config.home}/logs/${showId(pid)}.log` : "";
    const parent = this.get(of.parent);
    // Whoever spawns a process has a handle on it.
    const handle = parent && !parent.exit ? parent.nextHandle : 0;
    const handles = gifts.map((_, i) => i + 1);
    let id = BigInt(journal.state.counters.cap);
    const made = gifts.map((gift, i): JournalRecord => {
      return { type: "cap.made", id: ++id, holder: pid, handle: i + 1, ...gift };
    });
    if (handle !== 0) {
      const whole = { object: { type: "process", id: pid } as const, rights: ALL_RIGHTS };
      made.push({ type: "cap.made", id: ++id, parent: 0n, holder: of.parent, handle, ...whole });
    }
    journal.append(
      { type: "proc.created", pid, ...of, log, at: clock.now() },
      ...made,
      ...also(pid),
    );
    return { pid, handle, handles };
  }

  /** Begins a run of the process: its token is spent, its port takes over. */
  attach(pid: bigint, port: Port): Attachment {
    const process = this.#alive(pid);
    const resumeToken = secret(this.#kernel.random);
    const run = process.run + 1;
    const resumeHash = tokenHash(resumeToken);
    this.#kernel.journal.append({ type: "proc.run", pid, run, tokenHash: "", resumeHash });
    this.#kernel.trap.attach(pid, port, "new");
    this.supervisor.pat(pid);
    this.signals.reached(pid);
    return { pid, run, resumeToken, principal: process.principal };
  }

  /** Goes on with a run that lost its stream. EACCES when the token or the run is not its own. */
  resume(pid: bigint, run: number, resumeToken: string, port: Port): Attachment {
    const process = this.get(pid);
    if (
      !process ||
      process.exit ||
      process.run !== run ||
      !tokenMatches(resumeToken, process.resumeHash)
    ) {
      throw new ContixError(
        "EACCES",
        `run ${run} of ${showId(pid)} can not be resumed with this token`,
      );
    }
    this.#grace.get(pid)?.();
    this.#grace.delete(pid);
    this.#kernel.trap.attach(pid, port, "same");
    this.signals.reached(pid);
    return { pid, run, resumeToken, principal: process.principal };
  }

  /** The spawned process whose one-time token this is. */
  byToken(token: string): Process | undefined {
    for (const process of this.#kernel.journal.state.processes.values()) {
      if (process.tokenHash !== "" && tokenMatches(token, process.tokenHash)) return process;
    }
    return undefined;
  }

  /** The stream of a process broke: it may come back for a while. */
  lost(pid: bigint, port: Port): void {
    const { trap, clock, config } = this.#kernel;
    if (!trap.detach(pid, port) || this.#os.has(pid)) return;
    const gone = (): void => {
      this.#grace.delete(pid);
      this.exited(pid, 1, "detached");
    };
    this.#grace.set(pid, clock.after(config.detachGraceMs * 1000, gone));
  }

  /** The stream of a process ended in order: a program started elsewhere is over with it. */
  left(pid: bigint, port: Port): void {
    if (!this.#kernel.trap.detach(pid, port) || this.#os.has(pid)) return;
    this.exited(pid, 0, "exit");
  }

  /** Hands the OS process of a spawned one over. One that came too late is ended. */
  started(pid: bigint, os: OsProcess): void {
    const process = this.get(pid);
    if (!process || process.exit) {
      os.signal("SIGKILL");
      return;
    }
    this.#os.set(pid, os);
    this.supervisor.began(pid);
    if (process.stopped) os.signal("SIGSTOP");
    if (this.#ending) os.signal("SIGKILL");
    else this.signals.reached(pid);
  }

  osPid(pid: bigint): number {
    return this.#os.get(pid)?.osPid ?? 0;
  }

  /** A run of the process has ended; so has the process, unless it is to be started again. */
  exited(pid: bigint, code: number, cause: string): void {
    this.#os.delete(pid);
    const process = this.get(pid);
    if (!process || process.exit) return;
    this.#grace.get(pid)?.();
    this.#grace.delete(pid);
    this.signals.forget(pid);
    const fate = this.supervisor.onExit(pid, { code, cause });
    if (fate.over) this.#over(process, fate.code, fate.cause);
    else {
      // Its next run starts as every other, and nobody goes on with this one.
      const fenced = { run: process.run, tokenHash: "", resumeHash: "" };
      this.#kernel.journal.append(
        { type: "proc.stopped", pid, stopped: false },
        { type: "proc.run", pid, ...fenced },
      );
      this.#kernel.trap.forget(pid, new ContixError("ECANCELED", "the program ended"));
      this.#kernel.ask.gone(pid);
      this.#kernel.ipc.runOver(pid);
      this.#kernel.log.debug({ process: showId(pid), code, cause }, "run over");
    }
  }

  /** The process is over: its calls, contexts and children's ties end with it. */
  #over(process: Process, code: number, cause: string): void {
    const { journal, trap, life, clock, log, ipc, time } = this.#kernel;
    const { pid } = process;
    trap.forget(pid, new ContixError("ECANCELED", "the process is over"));
    const records: JournalRecord[] = [];
    for (const context of journal.state.contexts.values()) {
      if (context.owner !== pid) continue;
      // Another process may be using it, through a handle that it was granted.
      trap.endOn(context.cid, new ContixError("ECANCELED", "the context's owner is over"));
      records.push(life.close(context));
    }
    const granted = [...process.handles.values()].some((id) => {
      return (journal.state.caps.get(id)?.children.size ?? 0) > 0;
    });
    journal.append(...records, { type: "proc.exited", pid, code, cause, at: clock.now() });
    if (granted) trap.recheck();
    this.logs.close(pid);
    this.#kernel.rates.forget(pid);
    this.#kernel.ask.gone(pid);
    log.debug({ process: showId(pid), code, cause }, "process over");
    ipc.processOver(pid);
    time.processOver(pid);
    if (pid !== this.#unheard) this.#waiters.over(process);
    this.#reapOrphans();
  }

  /** Calls `found` when a child is over, at once if one already is; the result stops waiting. ECHILD. */
  wait(waiter: Waiter): () => void {
    return this.#waiters.add(waiter);
  }

  /** What to append to forget a process that is over; its books are closed. */
  reap(pid: bigint): JournalRecord {
    this.#kernel.accounts.drop(pid);
    return { type: "proc.reaped", pid };
  }

  /** Ends the process by force, and at once: it is over before its OS process is. */
  end(pid: bigint, cause: string): void {
    this.supervisor.release(pid);
    this.#os.get(pid)?.signal("SIGKILL");
    this.exited(pid, 137, cause);
  }

  /** Ends a process that never ran, and forgets it: nobody was told its pid, so no waiter hears of it. */
  discard(pid: bigint, cause: string): void {
    const parent = this.get(pid)?.parent;
    this.#unheard = pid;
    this.end(pid, cause);
    this.#unheard = undefined;
    this.#kernel.journal.append(this.reap(pid));
    if (parent !== undefined) this.#waiters.childless(parent);
  }

  /** Ends the process by force. */
  kill(pid: bigint): void {
    const os = this.#os.get(pid);
    if (os) os.signal("SIGKILL");
    else this.exited(pid, 137, "signal KILL");
  }

  /** Sends a signal that a process may be sent. */
  signal(pid: bigint, name: string, from: bigint): void {
    this.signals.send(pid, name, from);
  }

  /** Ends every spawned process: TERM, then KILL after `graceUs`. Resolves when all OS processes are gone. */
  async endAll(graceUs: number): Promise<void> {
    const { journal, clock } = this.#kernel;
    this.#ending = true;
    this.supervisor.endAll();
    const all = [...journal.state.processes.values()].filter((process) => !process.exit);
    // Programs started elsewhere are not ours to end; they see their stream end.
    for (const { pid, spawned, stopped } of all) {
      if (!spawned) continue;
      this.signal(pid, "TERM", 0n);
      if (stopped) this.signal(pid, "CONT", 0n);
    }
    const cancel = clock.after(graceUs, () => this.killAll());
    // One whose start was under way joins the others while they end.
    while (this.#os.size > 0) await Promise.all([...this.#os.values()].map((os) => os.gone));
    cancel();
    await this.stragglers.settled();
    for (const process of all) this.exited(process.pid, 143, "shutdown");
  }

  /** Kills the OS process of every agent, at once: when the daemon itself ends in haste. */
  killAll(): void {
    for (const os of this.#os.values()) os.signal("SIGKILL");
  }

  #alive(pid: bigint): Process {
    const process = this.get(pid);
    if (!process || process.exit) throw new ContixError("ESRCH", `${showId(pid)} is over`);
    return process;
  }

  /** Processes that are alive, or dead and still to be waited for by a living parent. */
  #held(): number {
    let count = 0;
    for (const places of this.#kernel.journal.state.places.values()) count += places;
    return count;
  }

  #orphans(): Process[] {
    const { state } = this.#kernel.journal;
    return [...state.processes.values()].filter((process) => !hasPlace(state, process));
  }

  /** Zombies without a living parent are reaped, the oldest first, beyond what `ps -a` shows. */
  #reapOrphans(): void {
    const { journal } = this.#kernel;
    const orphans = this.#orphans();
    for (const orphan of orphans.slice(0, Math.max(0, orphans.length - ZOMBIES_KEPT))) {
      journal.append(this.reap(orphan.pid));
    }
  }
}

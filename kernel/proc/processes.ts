/**
 * The process table's life: creation, attachment, exit, reaping. What must outlive
 * the daemon is in the journal; here are only the OS processes and the waiters.
 */
import { ContixError } from "../../proto/errno.js";
import { tokenHash, tokenMatches } from "../cap/tokens.js";
import { secret } from "../clock.js";
import { makeId, showId } from "../ids.js";
import type { Process } from "../journal/journal.js";
import type { JournalRecord } from "../journal/records.js";
import { type Kernel, NODE } from "../kernel.js";
import type { Port } from "../trap.js";
import type { OsProcess } from "./os-process.js";
import { type Waiter, Waiters } from "./waiters.js";

/** Zombies that nobody waits for are reaped beyond this many. */
const ZOMBIES_KEPT = 256;
/** Programs started elsewhere, the operator's tools above all, find room when agents have taken all else. */
const RESERVE = 32;

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

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#waiters = new Waiters(kernel.journal.state);
  }

  get(pid: bigint): Process | undefined {
    return this.#kernel.journal.state.processes.get(pid);
  }

  /** Creates a process. EAGAIN when there are too many. `token`: what it attaches with. */
  create(of: Pick<Process, "parent" | "name" | "principal" | "nice" | "spawned">): {
    pid: bigint;
    token: string;
    log: string;
  } {
    const { journal, config, random, clock } = this.#kernel;
    const held = this.#held();
    if (held >= config.limits.processes + (of.spawned ? 0 : RESERVE)) {
      throw new ContixError("EAGAIN", `${held} processes are alive or not waited for, the limit`, {
        retryAfterUs: 1_000_000,
      });
    }
    const pid = makeId(NODE, journal.state.counters.pid + 1);
    const log = of.spawned ? `${config.home}/logs/${showId(pid)}.log` : "";
    const token = secret(random);
    journal.append(
      { type: "proc.created", pid, ...of, log, at: clock.now() },
      {
        type: "proc.run",
        pid,
        run: 0,
        tokenHash: of.spawned ? tokenHash(token) : "",
        resumeHash: "",
      },
    );
    return { pid, token, log };
  }

  /** Begins a run of the process: its token is spent, its port takes over. */
  attach(pid: bigint, port: Port): Attachment {
    const process = this.#alive(pid);
    const resumeToken = secret(this.#kernel.random);
    const run = process.run + 1;
    const resumeHash = tokenHash(resumeToken);
    this.#kernel.journal.append({ type: "proc.run", pid, run, tokenHash: "", resumeHash });
    this.#kernel.trap.attach(pid, port, "new");
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
    if (this.#ending) os.signal("SIGKILL");
  }

  osPid(pid: bigint): number {
    return this.#os.get(pid)?.osPid ?? 0;
  }

  /** The process is over: its calls, contexts and children's ties end with it. */
  exited(pid: bigint, code: number, cause: string): void {
    const { journal, trap, life, clock, log } = this.#kernel;
    this.#os.delete(pid);
    const process = this.get(pid);
    if (!process || process.exit) return;
    this.#grace.get(pid)?.();
    this.#grace.delete(pid);
    trap.forget(pid, new ContixError("ECANCELED", "the process is over"));
    const records: JournalRecord[] = [];
    for (const context of journal.state.contexts.values()) {
      if (context.owner === pid) records.push(life.close(context));
    }
    journal.append(...records, { type: "proc.exited", pid, code, cause, at: clock.now() });
    log.debug({ process: showId(pid), code, cause }, "process over");
    this.#waiters.over(process);
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

  /** Ends the process by force. */
  kill(pid: bigint): void {
    const os = this.#os.get(pid);
    if (os) os.signal("SIGKILL");
    else this.exited(pid, 137, "signal KILL");
  }

  /** Sends a signal: over its stream, or, before it has one, to its OS process. */
  signal(pid: bigint, name: string, from: bigint): void {
    if (name === "KILL") {
      this.kill(pid);
      return;
    }
    const port = this.#kernel.trap.port(pid);
    if (port) port.signal({ name, fromPid: from, context: undefined });
    else this.#os.get(pid)?.signal(`SIG${name}` as NodeJS.Signals);
  }

  /** Ends every spawned process: TERM, then KILL after `graceUs`. Resolves when all OS processes are gone. */
  async endAll(graceUs: number): Promise<void> {
    const { journal, clock } = this.#kernel;
    this.#ending = true;
    const all = [...journal.state.processes.values()].filter((process) => !process.exit);
    // Programs started elsewhere are not ours to end; they see their stream end.
    for (const process of all) if (process.spawned) this.signal(process.pid, "TERM", 0n);
    const cancel = clock.after(graceUs, () => this.killAll());
    // One whose start was under way joins the others while they end.
    while (this.#os.size > 0) await Promise.all([...this.#os.values()].map((os) => os.gone));
    cancel();
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
    for (const process of this.#kernel.journal.state.processes.values()) {
      const parent = this.get(process.parent);
      if (!process.exit || (parent && !parent.exit)) count++;
    }
    return count;
  }

  #orphans(): Process[] {
    return [...this.#kernel.journal.state.processes.values()].filter((process) => {
      const parent = this.get(process.parent);
      return process.exit && (!parent || parent.exit);
    });
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

/**
 * Signals between processes, as in Unix. One goes over its process's stream, where the
 * SDK's handlers take it. To a program without a stream, which may know no SDK, go those by
 * which it is asked to end, and CONT, as the system's own. Three are the kernel's business:
 * KILL ends, STOP stops, CONT lets go on. A stopped process has no slot and its calls wait;
 * its contexts stay.
 *
 * What can not be told now waits, each name once, until it can: for who is stopped, for who
 * is just being started, and for who has lost its stream. The system's USR1 and ALRM are no
 * way to an agent that has a stream at other times: ALRM would kill it, and USR1 opens
 * Node's debugger to whoever is on the machine. They go only to programs that never
 * attached and are not Node's.
 */

import { constants } from "node:os";
import { ContixError } from "../../proto/errno.js";
import type { Signal } from "../../proto/gen/contix/v1/kernel.js";
import { SIGNALS } from "../../proto/signals.js";
import type { Process } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { isNode } from "./node-command.js";
import type { OsProcess } from "./os-process.js";
import { find } from "./supervise/members.js";

/** Those by which somebody wants a process to end. */
const ENDS: ReadonlySet<string> = new Set(["INT", "TERM", "KILL"]);
/** What the system's own signals of that name do is meant, whatever the program. */
const AS_THE_SYSTEM: ReadonlySet<string> = new Set(["INT", "TERM", "CONT"]);

/** `TERM` for `term` and `SIGTERM`. EINVAL: no signal that a process may be sent. */
export function signalName(text: string): string {
  const signal = text.toUpperCase().replace(/^SIG/, "");
  if (SIGNALS.some((name) => name === signal)) return signal;
  const message = `unknown signal "${text.slice(0, 16)}"; one of ${SIGNALS.join(", ")}`;
  throw new ContixError("EINVAL", message, { argument: "signal" });
}

export class Signals {
  readonly #kernel: Kernel;
  readonly #os: ReadonlyMap<bigint, OsProcess>;
  /** For who is stopped or can not be reached, by name. */
  readonly #waiting = new Map<bigint, Map<string, Signal>>();

  constructor(kernel: Kernel, os: ReadonlyMap<bigint, OsProcess>) {
    this.#kernel = kernel;
    this.#os = os;
  }

  send(pid: bigint, name: string, from: bigint): void {
    if (name === "KILL") this.#kernel.procs.kill(pid);
    else if (name === "STOP") this.#stop(pid);
    else {
      if (name === "CONT") this.#go(pid);
      this.deliver(pid, { name, fromPid: from, context: undefined, quota: undefined });
    }
  }

  /** The same, from a process that wants it: who is asked to end is not started again. */
  ask(pid: bigint, name: string, from: bigint): void {
    const { journal, procs } = this.#kernel;
    if (ENDS.has(name) && find(journal.state.supervision, pid)) {
      if (procs.supervisor.between(pid)) {
        const number = constants.signals[`SIG${name}` as NodeJS.Signals];
        procs.exited(pid, 128 + number, `signal ${name}`);
        return;
      }
      const doom = { cause: "", next: "over" } as const;
      journal.append({ type: "supervise.doomed", pid, doom });
    }
    this.send(pid, name, from);
  }

  /** Tells the process of a signal: at once, or when it goes on or can be reached. */
  deliver(pid: bigint, signal: Signal): void {
    const { trap, journal } = this.#kernel;
    const process = journal.state.processes.get(pid);
    if (!process || process.exit) return;
    const port = process.stopped ? undefined : trap.port(pid);
    if (port) {
      port.signal(signal);
      return;
    }
    const os = process.stopped ? undefined : this.#os.get(pid);
    if (os && isForSystem(process, signal.name)) {
      os.signal(`SIG${signal.name}` as NodeJS.Signals);
      return;
    }
    const waiting = this.#waiting.get(pid) ?? new Map<string, Signal>();
    this.#waiting.set(pid, waiting.set(signal.name, signal));
  }

  /** The process goes on, has a stream, or an OS process: it is told what waited for that. */
  reached(pid: bigint): void {
    const waiting = this.#waiting.get(pid);
    this.#waiting.delete(pid);
    for (const signal of waiting?.values() ?? []) this.deliver(pid, signal);
  }

  /** The process, or its run, is over. */
  forget(pid: bigint): void {
    this.#waiting.delete(pid);
  }

  #stop(pid: bigint): void {
    const { journal, trap } = this.#kernel;
    const process = journal.state.processes.get(pid);
    if (!process || process.exit || process.stopped) return;
    journal.append({ type: "proc.stopped", pid, stopped: true });
    this.#os.get(pid)?.signal("SIGSTOP");
    trap.stopped(pid);
  }

  #go(pid: bigint): void {
    const { journal, trap } = this.#kernel;
    if (!journal.state.processes.get(pid)?.stopped) return;
    journal.append({ type: "proc.stopped", pid, stopped: false });
    // A program without a stream gets CONT as what is delivered.
    if (trap.isAttached(pid)) this.#os.get(pid)?.signal("SIGCONT");
    trap.stopped(pid);
    this.reached(pid);
  }
}

/** Whether a program that has no stream is to get the system's signal of that name. */
function isForSystem({ run, program }: Process, name: string): boolean {
  if (AS_THE_SYSTEM.has(name)) return true;
  const known = `SIG${name}` in constants.signals;
  return known && run === 0 && !isNode(program?.argv[0] ?? "");
}

/**
 * Signals between processes, as in Unix. One goes over its process's stream, where the
 * SDK's handlers take it, or, before there is a stream, to its OS process. Three are the
 * kernel's own business: KILL ends, STOP stops, CONT lets go on. A stopped process has no
 * slot and its calls wait; its contexts stay. Signals that come meanwhile wait too, each
 * name once, and are told when it goes on.
 */

import { constants } from "node:os";
import { ContixError } from "../../proto/errno.js";
import type { Signal } from "../../proto/gen/contix/v1/kernel.js";
import type { Kernel } from "../kernel.js";
import type { OsProcess } from "./os-process.js";
import { find } from "./supervise/members.js";

/** What a process may send another. */
const NAMES = ["INT", "TERM", "KILL", "STOP", "CONT", "USR1", "ALRM"] as const;
/** Those by which somebody wants a process to end. */
const ENDS: ReadonlySet<string> = new Set(["INT", "TERM", "KILL"]);

/** `TERM` for `term` and `SIGTERM`. EINVAL: no signal that a process may be sent. */
export function signalName(text: string): string {
  const signal = text.toUpperCase().replace(/^SIG/, "");
  if (NAMES.some((name) => name === signal)) return signal;
  const message = `unknown signal "${text.slice(0, 16)}"; one of ${NAMES.join(", ")}`;
  throw new ContixError("EINVAL", message, { argument: "signal" });
}

export class Signals {
  readonly #kernel: Kernel;
  readonly #os: ReadonlyMap<bigint, OsProcess>;
  /** For who is stopped, by name. */
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
      if (procs.supervisor.isDue(pid)) {
        const number = constants.signals[`SIG${name}` as NodeJS.Signals];
        procs.exited(pid, 128 + number, `signal ${name}`);
        return;
      }
      const doom = { cause: "", next: "over" } as const;
      journal.append({ type: "supervise.doomed", pid, doom });
    }
    this.send(pid, name, from);
  }

  /** Tells the process of a signal, at once or when it goes on. */
  deliver(pid: bigint, signal: Signal): void {
    const { trap, journal } = this.#kernel;
    if (journal.state.processes.get(pid)?.stopped) {
      const waiting = this.#waiting.get(pid) ?? new Map<string, Signal>();
      this.#waiting.set(pid, waiting.set(signal.name, signal));
      return;
    }
    const port = trap.port(pid);
    if (port) port.signal(signal);
    // To a program that has no stream the kernel's own signals mean nothing.
    else if (`SIG${signal.name}` in constants.signals)
      this.#os.get(pid)?.signal(`SIG${signal.name}` as NodeJS.Signals);
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
    const waiting = this.#waiting.get(pid);
    this.#waiting.delete(pid);
    for (const signal of waiting?.values() ?? []) this.deliver(pid, signal);
  }
}

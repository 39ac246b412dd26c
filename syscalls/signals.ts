/** Signals to this process, and what they do when nobody handles them. */
import type {
  QuotaEvent as WireQuota,
  Signal as WireSignal,
} from "../proto/gen/contix/v1/kernel.js";
import type { SIGNALS } from "../proto/signals.js";
import { type Pid, showIdOrNull } from "./ids.js";
import { type ContextEvent, fromEvent } from "./overflow.js";

/**
 * A signal's name without its SIG. STOP stops a process until CONT, and neither it nor the
 * program can do anything about it; by CONT it hears that it goes on. ALRM is also what
 * `os.time.alarm()` rings by.
 */
export type SignalName =
  | (typeof SIGNALS)[number]
  /** A context has passed three quarters of its window. */
  | "CTXHIGH"
  /** Segments were moved out of a context to make room. */
  | "CTXEDIT"
  /** Nine tenths of a quota are used. */
  | "PRESSURE"
  | (string & {});

/** A signal that came. */
export interface Signal {
  readonly name: SignalName;
  /** Who sent it; null: the kernel. */
  readonly from: Pid | null;
  /** With CTXHIGH and CTXEDIT: the context that it is about. */
  readonly context?: ContextEvent | undefined;
  /** With PRESSURE: the quota that is nearly used up. */
  readonly quota?: QuotaEvent | undefined;
}

/** A quota that is nearly used up: the process's own, or its principal's. */
export interface QuotaEvent {
  readonly quota: string;
  readonly of: "process" | "principal";
  readonly limit: number;
  readonly used: number;
}

export type SignalHandler = (signal: Signal) => void;

/** Signals that end a process which has no handler for them. */
const DEADLY: ReadonlySet<string> = new Set(["TERM", "INT", "HUP"]);

export class Signals {
  readonly #handlers = new Map<string, Set<SignalHandler>>();
  readonly #raise: (name: string) => void;

  /**
   * `raise` does what the operating system does with a signal. It sends it to
   * this process, so that Node's own `process.on("SIGTERM")` handlers run too
   * and, without one, the process dies of the signal and not with a code.
   */
  constructor(raise = (name: string): void => void process.kill(process.pid, `SIG${name}`)) {
    this.#raise = raise;
  }

  on(name: SignalName, handler: SignalHandler): () => void {
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers.add(handler));
    return () => handlers.delete(handler);
  }

  deliver({ name, fromPid, context, quota }: WireSignal): void {
    const handlers = this.#handlers.get(name);
    if (handlers === undefined || handlers.size === 0) {
      if (DEADLY.has(name)) this.#raise(name);
      return;
    }
    const about = fromEvent(context);
    const signal = {
      ...{ name, from: showIdOrNull(fromPid) },
      ...(about && { context: about }),
      ...(quota && { quota: toQuotaEvent(quota) }),
    };
    // In turns of their own: what a handler throws is the program's, not the stream's.
    for (const handler of handlers) queueMicrotask(() => handler(signal));
  }
}

function toQuotaEvent({ quota, of, limit, used }: WireQuota): QuotaEvent {
  const whose = of === "process" ? "process" : "principal";
  return { quota, of: whose, limit: Number(limit), used: Number(used) };
}

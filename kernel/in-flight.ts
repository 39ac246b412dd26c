/**
 * Who is attached, and the calls that are in flight. What ends calls from outside is here: the
 * end of their process, of their context, of a capability, of the kernel, and the caller's wish.
 */
import { ContixError } from "../proto/errno.js";
import type { Chunk, Reply, Signal } from "../proto/gen/contix/v1/kernel.js";
import type { Call } from "./call.js";
import { Expiry } from "./cap/expiry.js";
import type { Kernel } from "./kernel.js";

/** Where a process is attached: a door's stream, or a unary call. */
export interface Port {
  reply(reply: Reply): void;
  chunk(chunk: Chunk): void;
  signal(signal: Signal): void;
  /** The kernel ends the attachment, with an error when there is something to say. */
  close(error?: ContixError): void;
}

/** What is known of a process that has called or is attached. */
export class Live {
  readonly calls = new Map<bigint, Call>();
  port: Port | undefined;
  /** Calls of a process that is stopped, by seq: those that are not over begin when it goes on. */
  readonly held = new Map<bigint, () => void>();
  /** The highest seq of a call that was let in and is to be told apart from its repetitions. */
  lastSeq = 0n;

  reply(reply: Reply): void {
    this.port?.reply(reply);
  }
  chunk(chunk: Chunk): void {
    this.port?.chunk(chunk);
  }
}

export class InFlight {
  protected readonly kernel: Kernel;
  readonly #live = new Map<bigint, Live>();

  constructor(kernel: Kernel) {
    this.kernel = kernel;
    new Expiry(kernel.journal, kernel.clock, () => this.recheck("has expired"));
  }

  /** The calls of a process that are in flight. */
  inFlight(pid: bigint): Iterable<Call> {
    return this.#live.get(pid)?.calls.values() ?? [];
  }
  isBusy(pid: bigint): boolean {
    return (this.#live.get(pid)?.calls.size ?? 0) > 0;
  }
  isAttached(pid: bigint): boolean {
    return this.#live.get(pid)?.port !== undefined;
  }
  port(pid: bigint): Port | undefined {
    return this.#live.get(pid)?.port;
  }

  /** From now on the process is spoken to through `port`. The former port is closed. */
  attach(pid: bigint, port: Port, run: "new" | "same"): void {
    const live = this.live(pid);
    if (run === "new") live.lastSeq = 0n;
    live.port?.close(new ContixError("ECANCELED", "the process attached somewhere else"));
    live.port = port;
    for (const call of live.calls.values()) call.attachment(true);
  }

  /** The process lost `port`; its calls go on, but what needs a reader pauses. */
  detach(pid: bigint, port: Port): boolean {
    const live = this.#live.get(pid);
    if (live?.port !== port) return false;
    live.port = undefined;
    for (const call of live.calls.values()) call.attachment(false);
    return true;
  }

  /** The process is over: its calls end, its port closes. */
  forget(pid: bigint, error: ContixError): void {
    const live = this.#live.get(pid);
    if (!live) return;
    for (const call of [...live.calls.values()]) call.end(error);
    this.#live.delete(pid);
    live.port?.close();
  }

  /** The process was stopped, or goes on: what it has under way hears of it. */
  stopped(pid: bigint): void {
    const live = this.#live.get(pid);
    if (!live) return;
    for (const call of live.calls.values()) call.processStopped();
    if (this.kernel.journal.state.processes.get(pid)?.stopped) return;
    const held = [...live.held];
    live.held.clear();
    for (const [seq, begin] of held) if (live.calls.has(seq)) begin();
  }

  /** Ends what goes on through capabilities that are no more, or another's: revoked, closed, sent away, expired. */
  recheck(what = "was taken back"): void {
    const { caps } = this.kernel.journal.state;
    const error = new ContixError("EBADF", `the handle ${what} while the call went on`);
    this.#end(error, ({ uses, process: { pid } }) =>
      uses.some(({ capability: { id } }) => caps.get(id)?.holder !== pid),
    );
    // Whoever waits for an end of a pipe, a lock, a party that is gone by that goes on.
    this.kernel.ipc.settle();
  }

  /** Ends every call on a context. */
  endOn(cid: bigint, error: ContixError): void {
    if (!this.kernel.life.isBusy(cid)) return;
    this.#end(error, ({ context }) => context?.cid === cid);
  }

  /** Ends every call in flight. */
  endAll(error: ContixError): void {
    this.#end(error, () => true);
  }

  get busy(): number {
    let count = 0;
    for (const { calls } of this.#live.values()) count += calls.size;
    return count;
  }

  cancel(pid: bigint, seq: bigint): void {
    const call = this.#live.get(pid)?.calls.get(seq);
    call?.end(new ContixError("ECANCELED", "the caller cancelled the call"));
  }
  credit(pid: bigint, seq: bigint, n: number): void {
    this.#live.get(pid)?.calls.get(seq)?.credit(n);
  }

  protected live(pid: bigint): Live {
    let live = this.#live.get(pid);
    if (!live) {
      live = new Live();
      this.#live.set(pid, live);
    }
    return live;
  }

  #end(error: ContixError, which: (call: Call) => boolean): void {
    for (const { calls } of this.#live.values()) {
      for (const call of [...calls.values()]) if (which(call)) call.end(error);
    }
  }
}

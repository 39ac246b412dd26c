/**
 * The way in. Every syscall of every door passes here: seen before? may it?
 * dispatch, answer. A call is named (pid, run, seq); the same name again gets the
 * first result, and the same name with another payload is EEXIST (law 4).
 */
import { createHash } from "node:crypto";
import { ContixError, toWire } from "../proto/errno.js";
import { type Chunk, Reply, type Signal, Syscall } from "../proto/gen/contix/v1/kernel.js";
import { Call, NO_USAGE } from "./call.js";
import { useContext, useContextById } from "./cap/handles.js";
import type { Kernel } from "./kernel.js";
import { SYSCALLS, type SyscallRow } from "./table.js";

/** Where a process is attached: a door's stream, or a unary call. */
export interface Port {
  reply(reply: Reply): void;
  chunk(chunk: Chunk): void;
  signal(signal: Signal): void;
  /** The kernel ends the attachment, with an error when there is something to say. */
  close(error?: ContixError): void;
}

interface Live {
  readonly calls: Map<bigint, Call>;
  port: Port | undefined;
  /** The highest seq of a call that was let in and is to be told apart from its repetitions. */
  lastSeq: bigint;
}

export class Trap {
  readonly #kernel: Kernel;
  readonly #live = new Map<bigint, Live>();
  #draining = false;
  syscalls = 0;
  denied = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
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
    const live = this.#of(pid);
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

  /** From now on new calls are refused with ESHUTDOWN. */
  drain(): void {
    this.#draining = true;
  }
  get draining(): boolean {
    return this.#draining;
  }
  /** Ends every call in flight. */
  endAll(error: ContixError): void {
    for (const live of this.#live.values()) {
      for (const call of [...live.calls.values()]) call.end(error);
    }
  }
  get busy(): number {
    let count = 0;
    for (const live of this.#live.values()) count += live.calls.size;
    return count;
  }

  cancel(pid: bigint, seq: bigint): void {
    const call = this.#live.get(pid)?.calls.get(seq);
    call?.end(new ContixError("ECANCELED", "the caller cancelled the call"));
  }
  credit(pid: bigint, seq: bigint, n: number): void {
    this.#live.get(pid)?.calls.get(seq)?.credit(n);
  }

  /** Forgets results: all up to `through`, and each of `also`. */
  ack(pid: bigint, through: bigint, also: readonly bigint[] = []): void {
    const process = this.#kernel.journal.state.processes.get(pid);
    if (!process || (through <= process.ackedThrough && also.length === 0)) return;
    const { run } = process;
    this.#kernel.journal.append({ type: "call.acked", pid, run, through, also });
  }

  enter(pid: bigint, syscall: Syscall): void {
    this.syscalls++;
    this.#kernel.accounts.of(pid).syscalls++;
    try {
      this.#enter(pid, syscall);
    } catch (error) {
      this.denied++;
      const result = { $case: "error" as const, value: toWire(error) };
      this.#live.get(pid)?.port?.reply({ seq: syscall.seq, usage: NO_USAGE, result });
      if (!(error instanceof ContixError)) this.#kernel.log.error({ err: error }, "trap");
    }
  }

  #enter(pid: bigint, syscall: Syscall): void {
    const { journal, clock, config } = this.#kernel;
    const process = journal.state.processes.get(pid);
    if (!process || process.exit) throw new ContixError("ESRCH", "the process is over");
    const live = this.#of(pid);
    const row = rowOf(syscall);
    const digest = row.kind === "pure" ? "" : payloadDigest(syscall);
    if (syscall.ackedThrough > 0n) this.ack(pid, syscall.ackedThrough);
    if (this.#seenBefore(live, process, syscall, digest)) return;
    if (this.#draining) throw new ContixError("ESHUTDOWN", "the kernel is shutting down");
    if (live.calls.size >= config.limits.callsPerProcess) {
      throw new ContixError("EAGAIN", `${live.calls.size} calls of this process are in flight`, {
        retryAfterUs: 100_000,
      });
    }
    const { unackedResults, unackedBytes } = config.limits;
    if (process.results.size >= unackedResults || process.resultBytes >= unackedBytes) {
      throw new ContixError("EAGAIN", "too many results wait to be acknowledged", {
        argument: "acked_through",
        retryAfterUs: 100_000,
      });
    }
    const call = new Call({
      process,
      syscall,
      digest,
      kind: row.kind,
      arrivedAt: clock.now(),
      journal,
      sendReply: (reply) => live.port?.reply(reply),
      sendChunk: (chunk) => live.port?.chunk(chunk),
      onOver: () => {
        live.calls.delete(syscall.seq);
        cancelDeadline();
      },
    });
    const cancelDeadline = this.#deadline(call);
    live.calls.set(syscall.seq, call);
    if (digest !== "" && syscall.seq > live.lastSeq) live.lastSeq = syscall.seq;
    this.#dispatch(row, call);
  }

  #dispatch(row: SyscallRow, call: Call): void {
    const failed = (error: unknown): void => {
      if (error instanceof ContixError) {
        if (error.code === "EPERM" || error.code === "EBADF") this.denied++;
      } else this.#kernel.log.error({ err: error, call: row.name }, "handler");
      call.fail(error);
    };
    try {
      const { handle } = call.syscall;
      const cid = row.handle === "context or cid" && handle === 0 ? cidOf(call.syscall) : 0n;
      if (cid !== 0n) {
        call.context = useContextById(this.#kernel.journal.state, call.process, cid);
      } else if (takesHandle(row, handle)) {
        call.context = useContext(this.#kernel.journal.state, call.process, handle);
      } else if (handle !== 0) {
        throw new ContixError("EINVAL", `${row.name} takes no handle`, { argument: "handle" });
      }
      // A handler that waits is asynchronous; whatever it throws answers the call.
      row.handler(this.#kernel, call)?.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  /** Answers a call whose name was used before. Returns false for a new name. */
  #seenBefore(live: Live, process: Call["process"], syscall: Syscall, digest: string): boolean {
    const { seq } = syscall;
    if (seq < 1n) throw new ContixError("EINVAL", "seq starts at 1", { argument: "seq" });
    const running = live.calls.get(seq);
    const finished = process.results.get(seq);
    if (!running && !finished) {
      // Seqs rise, so what is neither running nor kept, and not above all before, was acknowledged.
      if (digest === "" || (seq > process.lastSeq && seq > live.lastSeq)) return false;
      throw new ContixError("EEXIST", `seq ${seq} was used and acknowledged`, { argument: "seq" });
    }
    // A pure call has no digest of its own; only while it is in flight is its name taken.
    const first = finished?.digest ?? (running && payloadDigest(running.syscall));
    if (first !== (digest || payloadDigest(syscall))) {
      throw new ContixError("EEXIST", `seq ${seq} was used for another call`, { argument: "seq" });
    }
    if (finished) live.port?.reply(Reply.decode(finished.reply));
    // A call still in flight answers by itself, to wherever the process is attached then.
    return true;
  }

  #deadline(call: Call): () => void {
    const us = Number(call.syscall.timeoutUs);
    if (us === 0) return () => {};
    return this.#kernel.clock.after(us, () => {
      call.end(new ContixError("ETIMEDOUT", `the call did not end within ${us / 1000} ms`));
    });
  }

  #of(pid: bigint): Live {
    let live = this.#live.get(pid);
    if (!live) {
      live = { calls: new Map(), port: undefined, lastSeq: 0n };
      this.#live.set(pid, live);
    }
    return live;
  }
}

/** Whether the handle is to be resolved: it must name something where the call needs it. */
function takesHandle({ handle: wanted }: SyscallRow, handle: number): boolean {
  return wanted === "optional context" ? handle !== 0 : wanted !== "none";
}

/** The context that a call names by its id; 0: none. */
function cidOf({ call }: Syscall): bigint {
  return call && "cid" in call.value ? call.value.cid : 0n;
}

function rowOf(syscall: Syscall): SyscallRow {
  const name = syscall.call?.$case;
  const row = name === undefined ? undefined : SYSCALLS[name];
  if (!row) throw new ContixError("ENOSYS", "the call is empty or unknown to this kernel");
  return row;
}

/** Names the payload of a call: everything but what may differ when it is repeated. */
function payloadDigest(syscall: Syscall): string {
  const payload = { ...syscall, ackedThrough: 0n, credit: 0, timeoutUs: 0n };
  return createHash("sha1").update(Syscall.encode(payload).finish()).digest("base64");
}

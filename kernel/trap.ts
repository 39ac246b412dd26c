/**
 * The way in. Every syscall of every door passes here, and this is the order: who is
 * it (its process), was the call seen before, is the kernel draining, may it (scope;
 * then handle, type, rights), has it rates and quotas, must somebody be asked, dispatch,
 * answer. A call is named (pid, run, seq); the same name again gets the first result, and
 * the same name with another payload is EEXIST (law 4). What is denied, and what changes
 * something, is audited.
 */
import { hash } from "node:crypto";
import { encodeMessage } from "../proto/encode.js";
import { ContixError, toWire } from "../proto/errno.js";
import { Reply, Syscall, type Usage } from "../proto/gen/contix/v1/kernel.js";
import { Call, type Ending, NO_USAGE } from "./call.js";
import { CallTimes } from "./call-times.js";
import type { AuditEntry } from "./cap/audit.js";
import { askerOf } from "./cap/calls.js";
import { authorize } from "./cap/check.js";
import { showObject } from "./cap/rights.js";
import { checkScope } from "./cap/scopes.js";
import { InFlight, type Live } from "./in-flight.js";
import { callWaits } from "./mm/process-waits.js";
import { SYSCALLS, type SyscallRow } from "./table.js";

export type { Port } from "./in-flight.js";

/** Errors that say no, as opposed to those that say that something went wrong. */
const DENIALS: ReadonlySet<string> = new Set(["EPERM", "EBADF", "EACCES", "EDQUOT", "EAGAIN"]);

/** A call that has no name of its own, or is none, is not one that fails: it should not have been sent. */
const FAULTS: ReadonlySet<string> = new Set(["ENOSYS", "EINVAL", "EEXIST"]);

export class Trap extends InFlight {
  #draining = false;
  syscalls = 0;
  denied = 0;
  readonly times = new CallTimes();
  /** Calls and attachments that were denied, by the error that said so. */
  readonly denials = new Map<string, number>();

  /** Counts a result, if it is a denial. */
  countDenial(result: string): void {
    if (DENIALS.has(result)) this.denials.set(result, (this.denials.get(result) ?? 0) + 1);
  }

  /** From now on new calls are refused with ESHUTDOWN. */
  drain(): void {
    this.#draining = true;
  }
  get draining(): boolean {
    return this.#draining;
  }

  /** Forgets results: all up to `through`, and each of `also`. */
  ack(pid: bigint, through: bigint, also: readonly bigint[] = []): void {
    const process = this.kernel.journal.state.processes.get(pid);
    if (!process || (through <= process.ackedThrough && also.length === 0)) return;
    const { run } = process;
    this.kernel.journal.append({ type: "call.acked", pid, run, through, also });
  }

  /** @returns whether it was a call: false of an empty or unknown one, or one under a name that it can not have */
  enter(pid: bigint, syscall: Syscall): boolean {
    this.syscalls++;
    this.kernel.accounts.of(pid).syscalls++;
    try {
      this.#enter(pid, syscall);
      return true;
    } catch (error) {
      this.denied++;
      this.#auditRefusal(pid, syscall, error);
      const result = { $case: "error" as const, value: toWire(error) };
      this.port(pid)?.reply({ seq: syscall.seq, usage: NO_USAGE, result });
      if (!(error instanceof ContixError)) this.kernel.log.error({ err: error }, "trap");
      return !(error instanceof ContixError && FAULTS.has(error.code));
    }
  }

  #enter(pid: bigint, syscall: Syscall): void {
    const { journal, clock, config } = this.kernel;
    const process = journal.state.processes.get(pid);
    if (!process || process.exit) throw new ContixError("ESRCH", "the process is over");
    const live = this.live(pid);
    const row = rowOf(syscall);
    // Who is alive is alive, also when no more of its calls can be taken.
    if (row === SYSCALLS.heartbeat) this.kernel.procs.supervisor.pat(pid);
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
    const { audit } = this.kernel;
    const arrivedAt = clock.now();
    const call = new Call({
      process,
      syscall,
      digest,
      row,
      arrivedAt,
      journal,
      audit,
      live,
      trap: this,
    });
    this.#deadline(call);
    live.calls.set(syscall.seq, call);
    if (digest !== "" && syscall.seq > live.lastSeq) live.lastSeq = syscall.seq;
    if (!process.stopped) this.#admit(row, call);
    else live.held.set(syscall.seq, () => this.#admit(row, call));
  }

  /** Called by each call when it is over, before its reply is encoded. The result is the usage to send. */
  over(call: Call, live: Live, ending: Ending): Usage {
    live.calls.delete(call.syscall.seq);
    live.held.delete(call.syscall.seq);
    this.#auditEnding(call, ending);
    this.times.add(call.row.name, this.kernel.clock.now() - call.arrivedAt);
    if (ending.usage !== NO_USAGE) this.times.waits.add(Number(ending.usage.queuedUs));
    if (!call.admitted) return ending.usage;
    // When the records of what it did are there; what changes nothing uses nothing up.
    if (call.row.kind !== "pure") queueMicrotask(() => this.#press(call.process));
    return this.kernel.rates.settle(call, ending.usage);
  }

  /** May it, has it the quota, must somebody be asked? Then it is dispatched. */
  #admit(row: SyscallRow, call: Call): void {
    const failed = (error: unknown): void => {
      if (error instanceof ContixError) {
        if (error.code === "EPERM" || error.code === "EBADF") this.denied++;
      } else this.kernel.log.error({ err: error, call: row.name }, "handler");
      call.fail(error);
    };
    try {
      this.#authorize(row, call);
      if (row.kind !== "pure") this.kernel.audit.admit(row.takes ? call.process.pid : undefined);
      // A sign of life that the kernel itself asked for is on nobody's account.
      if (row !== SYSCALLS.heartbeat) {
        this.kernel.rates.admit(call);
        call.admitted = true;
      }
      const asked = this.kernel.ask.before(call);
      if (asked) {
        call.waitingOn = "approval";
        callWaits(this.kernel, call);
        const go = (): Promise<void> | undefined => {
          // Meanwhile the handle may have expired, or its object ended.
          this.#authorize(row, call);
          return this.#dispatch(row, call);
        };
        asked.then(go).catch(failed);
      } else this.#dispatch(row, call)?.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  /** A handler that waits is asynchronous; whatever it throws answers the call. */
  #dispatch(row: SyscallRow, call: Call): Promise<void> | undefined {
    if (call.over) return undefined;
    call.waitingOn = "";
    const known = row.kind === "external" ? this.#intend(call) : undefined;
    if (!known) return row.handler(this.kernel, call);
    return known.then(() => (call.over ? undefined : row.handler(this.kernel, call)));
  }

  /** Says what an external call is about to do, and waits until that is durable. */
  #intend({ process: { pid }, run, syscall: { seq }, digest }: Call): Promise<void> | undefined {
    this.kernel.journal.append({ type: "call.intent", pid, run, seq, digest });
    return this.kernel.journal.sync();
  }

  /** Its scope, then handle, type, rights: what it is on, and that it may. */
  #authorize(row: SyscallRow, call: Call): void {
    const { process, syscall } = call;
    checkScope(this.kernel, process, row);
    const { state } = this.kernel.journal;
    const asker = askerOf(this.kernel, call);
    const args = (syscall.call?.value ?? {}) as Readonly<Record<string, unknown>>;
    call.uses = authorize(asker, row.access, { name: row.name, handle: syscall.handle, args });
    for (const { object } of call.uses) {
      if (typeof object.id !== "bigint") continue;
      if (object.type === "context") call.context = state.contexts.get(object.id);
      else if (object.type === "process") call.target = state.processes.get(object.id);
    }
  }

  /** Tells the process of quotas that are nearly used up. */
  #press(process: Call["process"]): void {
    if (process.exit) return;
    const { rates, procs } = this.kernel;
    for (const quota of rates.pressing(process)) {
      const signal = { name: "PRESSURE", fromPid: 0n, context: undefined, quota };
      procs.signals.deliver(process.pid, signal);
    }
  }

  #auditEnding(call: Call, ending: Ending): void {
    const { row, process, syscall, run, digest } = call;
    if (ending.result !== "ok") this.countDenial(ending.result);
    if (row.kind === "pure" && !DENIALS.has(ending.result)) return;
    const object = call.uses[0] ? showObject(call.uses[0].object) : "";
    const { result, reason } = ending;
    this.#audit(syscall, process, run, { call: row.name, object, result, reason, digest });
  }

  /** A call that was refused before it had a life of its own: its name, the drain, a limit. */
  #auditRefusal(pid: bigint, syscall: Syscall, error: unknown): void {
    const process = this.kernel.journal.state.processes.get(pid);
    const name = syscall.call?.$case;
    const call = (name && SYSCALLS[name]?.name) ?? "";
    const result = error instanceof ContixError ? error.code : "EIO";
    const reason = error instanceof Error ? error.message : "";
    this.countDenial(result);
    const who = process ?? { pid, principal: "" };
    this.#audit(syscall, who, process?.run ?? 0, { call, object: "", result, reason });
  }

  #audit(
    { seq, handle }: Syscall,
    { pid, principal }: Pick<Call["process"], "pid" | "principal">,
    run: number,
    what: Pick<AuditEntry, "call" | "object" | "result" | "reason" | "digest">,
  ): void {
    const at = this.kernel.clock.wall();
    this.kernel.audit.record({ at, principal, pid, run, seq, handle, ...what });
  }

  /** Answers a call whose name was used before. Returns false for a new name. */
  #seenBefore(live: Live, process: Call["process"], syscall: Syscall, digest: string): boolean {
    const { seq } = syscall;
    if (seq < 1n) throw new ContixError("EINVAL", "seq starts at 1", { argument: "seq" });
    const running = live.calls.get(seq);
    const finished = process.results.get(seq);
    const intent = process.intents.get(seq);
    if (!running && !finished && intent === undefined) {
      // Seqs rise, so what is neither running nor kept, and not above all before, was acknowledged.
      if (digest === "" || (seq > process.lastSeq && seq > live.lastSeq)) return false;
      throw new ContixError("EEXIST", `seq ${seq} was used and acknowledged`, { argument: "seq" });
    }
    // A pure call has no digest of its own; only while it is in flight is its name taken.
    const first = finished?.digest ?? (running ? payloadDigest(running.syscall) : intent);
    if (first !== (digest || payloadDigest(syscall))) {
      throw new ContixError("EEXIST", `seq ${seq} was used for another call`, { argument: "seq" });
    }
    if (finished) this.#repeat(live, finished.reply);
    else if (!running) {
      const what = "the kernel ended while the call was made, and can not tell whether it happened";
      throw new ContixError("EUNKNOWN", what);
    }
    // A call still in flight answers by itself, to wherever the process is attached then.
    return true;
  }

  /** As the first time: not before the result, and the record that it happened, are durable. */
  #repeat(live: Live, reply: Uint8Array): void {
    const { journal, audit } = this.kernel;
    void Promise.all([journal.sync(), audit.sync()]).then(() => live.reply(Reply.decode(reply)));
  }

  #deadline(call: Call): void {
    const us = Number(call.syscall.timeoutUs);
    if (us === 0) return;
    call.cancelDeadline = this.kernel.clock.after(us, () => {
      call.end(new ContixError("ETIMEDOUT", `the call did not end within ${us / 1000} ms`));
    });
  }
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
  return hash("sha1", encodeMessage(Syscall, payload), "base64");
}

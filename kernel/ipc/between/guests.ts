/**
 * Processes of other kernels that use what is here. Each has a guest: a process in the
 * table under its own pid, with its principal and with the capabilities that its kernel
 * says it holds here. Its calls enter the trap as all do, so that rights, quotas, the
 * audit, waiting and what a death releases are the same for it. It is over when its
 * process is, and when its kernel is lost.
 */
import { ContixError, toWire } from "../../../proto/errno.js";
import type {
  AwayCall,
  AwayCancel,
  AwayHeld,
  AwayObject,
  AwayOver,
} from "../../../proto/gen/contix/v1/between.js";
import { NO_USAGE } from "../../call.js";
import { nextHandle } from "../../cap/births.js";
import type { ObjectType } from "../../cap/rights.js";
import { nodeOf, showId } from "../../ids.js";
import { objectKey } from "../../journal/fold-caps.js";
import type { Process } from "../../journal/journal.js";
import type { JournalRecord } from "../../journal/records.js";
import type { Kernel } from "../../kernel.js";
import type { Link } from "./link.js";

/** Guests of all kernels together. */
const MOST_GUESTS = 16_384;
/** What may be asked from afar. */
const CALLS: ReadonlySet<string> = new Set([
  ...["send", "recv", "ack", "open", "remove", "request", "reply", "ipcList"],
  ...["pipeRead", "pipeWrite", "lock", "unlock", "renew", "barrierWait"],
]);
const OBJECTS: ReadonlySet<string> = new Set(["mailbox", "pipe", "lock", "barrier"]);

export class Guests {
  readonly #kernel: Kernel;
  readonly #of = new Map<bigint, Link>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const { journal } = kernel;
    journal.watch((record) => {
      if (this.#of.size > 0 && record.type === "cap.gone") this.#tellGone(record.object);
    });
  }

  /** Makes a call in the name of a process of the other kernel. Its reply goes back by the link. */
  call(link: Link, { n, pid, run, principal, on, call }: AwayCall): void {
    try {
      if (!call || nodeOf(pid) !== link.node || !CALLS.has(call.call?.$case ?? "")) {
        throw new ContixError("EPROTO", "this is no call that comes from another kernel");
      }
      const guest = this.#guest(link, { pid, run, principal });
      const handle = on ? this.#handle(guest, on) : 0;
      const own = { seq: n, handle, timeoutUs: 0n, ackedThrough: 0n, credit: 0 };
      this.#kernel.trap.enter(pid, { ...call, ...own });
    } catch (error) {
      if (!(error instanceof ContixError)) throw error;
      const result = { $case: "error" as const, value: toWire(error) };
      link.send({ $case: "reply", value: { n, reply: { seq: n, usage: NO_USAGE, result } } });
    }
  }

  cancel(link: Link, { n, pid }: AwayCancel): void {
    if (this.#of.get(pid) === link) this.#kernel.trap.cancel(pid, n);
  }

  /** What the process holds now on an object of ours: the guest is given that, no more and no less. */
  held(link: Link, { pid, run, principal, type, id, rights }: AwayHeld): void {
    if (nodeOf(pid) !== link.node || !OBJECTS.has(type)) return;
    const { journal, trap } = this.#kernel;
    if (journal.state.ipc.objects.get(id)?.type !== type) return;
    if (rights.length === 0 && !this.#of.has(pid)) return;
    const guest = this.#guest(link, { pid, run, principal });
    const object = { type: type as ObjectType, id };
    const missing = [...rights];
    const records: JournalRecord[] = [];
    for (const cap of journal.state.capsOn.get(objectKey(object)) ?? []) {
      const { holder, rights: held = 0 } = journal.state.caps.get(cap) ?? {};
      if (holder !== pid) continue;
      const at = missing.indexOf(held);
      if (at >= 0) missing.splice(at, 1);
      else records.push({ type: "cap.closed", id: cap });
    }
    // First what is new: a pipe's end that moved from one to another is never nobody's.
    for (const each of missing) journal.append(this.#made(guest, object, each));
    journal.append(...records);
    trap.recheck();
  }

  over(link: Link, { pid, again }: AwayOver): void {
    if (this.#of.get(pid) !== link) return;
    if (!again) {
      this.#end(pid);
      return;
    }
    const { trap, ask, ipc } = this.#kernel;
    trap.forget(pid, new ContixError("ECANCELED", "the program ended"));
    ask.gone(pid);
    ipc.runOver(pid);
    this.#attach(link, pid);
  }

  /** The kernel of that node is lost: its processes hold nothing here any more. */
  lost(node: number): void {
    for (const [pid, link] of [...this.#of]) if (link.node === node) this.#end(pid);
  }

  #guest(
    link: Link,
    { pid, run, principal }: Pick<AwayCall, "pid" | "run" | "principal">,
  ): Process {
    const { journal, clock } = this.#kernel;
    const there = journal.state.processes.get(pid);
    if (there && this.#of.has(pid)) {
      if (there.run !== run) journal.append(runOf(pid, run));
      return there;
    }
    if (this.#of.size >= MOST_GUESTS) {
      const message = `${this.#of.size} processes of other kernels use this one, the most there can be`;
      throw new ContixError("EAGAIN", message, { retryAfterUs: 1_000_000 });
    }
    const born = { parent: 0n, name: `of n${link.node}`, nice: 0, spawned: false, log: "" };
    journal.append(
      { type: "proc.created", pid, principal, ...born, guest: true, at: clock.now() },
      runOf(pid, run),
    );
    this.#of.set(pid, link);
    this.#attach(link, pid);
    const made = journal.state.processes.get(pid);
    if (!made) throw new ContixError("ESRCH", `${showId(pid)} is over`);
    return made;
  }

  #attach(link: Link, pid: bigint): void {
    const { trap } = this.#kernel;
    const port = {
      reply: (reply: Parameters<Parameters<typeof trap.attach>[1]["reply"]>[0]): void => {
        link.send({ $case: "reply", value: { n: reply.seq, reply } });
        // The link brings it there, once: nobody asks for it again.
        trap.ack(pid, 0n, [reply.seq]);
      },
      chunk: () => {},
      signal: () => {},
      close: () => {},
    };
    trap.attach(pid, port, "new");
  }

  #end(pid: bigint): void {
    this.#of.delete(pid);
    const { procs, journal } = this.#kernel;
    procs.exited(pid, 0, "exit");
    journal.append(procs.reap(pid));
  }

  /** The guest's handle for what the call is made by; 0: by its namespace, which it has then. */
  #handle(guest: Process, { type, id, name, rights }: AwayObject): number {
    const { caps } = this.#kernel.journal.state;
    const wanted = type === "principal" ? name : id;
    for (const [handle, cap] of guest.handles) {
      const { object, rights: held } = caps.get(cap) ?? {};
      if (object?.type !== type || object.id !== wanted || held !== rights) continue;
      return type === "principal" ? 0 : handle;
    }
    if (type === "principal" && name !== "") {
      const object = { type: "principal" as const, id: name };
      this.#kernel.journal.append(this.#made(guest, object, rights));
      return 0;
    }
    throw new ContixError("EBADF", `${type} ${showId(id)} is gone`, { argument: "handle" });
  }

  #made(
    guest: Process,
    object: { readonly type: ObjectType; readonly id: bigint | string },
    rights: number,
  ): JournalRecord {
    const id = BigInt(this.#kernel.journal.state.counters.cap + 1);
    const handle = nextHandle(guest);
    return { type: "cap.made", id, parent: 0n, holder: guest.pid, handle, object, rights };
  }

  /** Whose handles end with an object of ours: their kernels are told. */
  #tellGone(object: { readonly type: ObjectType; readonly id: bigint | string }): void {
    const { type, id } = object;
    if (typeof id !== "bigint" || !OBJECTS.has(type)) return;
    const { caps, capsOn } = this.#kernel.journal.state;
    const links = new Set<Link>();
    for (const cap of capsOn.get(objectKey(object)) ?? []) {
      const link = this.#of.get(caps.get(cap)?.holder ?? 0n);
      if (link) links.add(link);
    }
    for (const link of links) link.send({ $case: "gone", value: { type, id } });
  }
}

function runOf(pid: bigint, run: number): JournalRecord {
  return { type: "proc.run", pid, run, tokenHash: "", resumeHash: "" };
}

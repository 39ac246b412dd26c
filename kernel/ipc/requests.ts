/**
 * Requests: messages that want a reply. One is asked of a process, or of a mailbox,
 * where whoever receives it is the one who may reply. The caller's call is over with the
 * reply, or with ESRCH when that process is over before. When the caller gives up, the
 * request is withdrawn: it is not received any more, and a reply finds nobody.
 *
 * A request is named by its call: should the kernel have forgotten who waits (it was
 * started again), the call that comes again finds its request and its reply.
 */
import { ContixError } from "../../proto/errno.js";
import { argumentsOf } from "../args.js";
import type { Call } from "../call.js";
import { showId } from "../ids.js";
import { type BoxRef, callKey } from "../journal/fold-ipc.js";
import type { Journal, ReadonlyState } from "../journal/journal.js";
import type { JournalRecord } from "../journal/records.js";
import type { Kernel } from "../kernel.js";
import { callWaits } from "../mm/process-waits.js";
import { checkFits, findBox } from "./boxes.js";
import { checkMessage, destination } from "./mail-calls.js";

type Request = ReadonlyState["ipc"]["requests"] extends ReadonlyMap<bigint, infer R> ? R : never;

export class Requests {
  readonly #journal: Journal;
  readonly #waiting = new Map<bigint, Call>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** The caller waits for the reply. */
  wait(request: Request, call: Call): void {
    const { id } = request;
    call.waitingOn = "reply";
    this.#waiting.set(id, call);
    call.onEnd(() => this.#withdraw(request));
    this.settle(id);
  }

  /** Answers the caller when there is a reply, or there will never be one. */
  settle(id: bigint): void {
    const { state } = this.#journal;
    const request = state.ipc.requests.get(id);
    const call = this.#waiting.get(id);
    if (!request || !call) return;
    const over: JournalRecord = { type: "request.over", id };
    if (request.reply) {
      this.#waiting.delete(id);
      const { body, error } = request.reply;
      const value = { body: Buffer.from(body), from: request.to, error };
      call.done({ $case: "request", value }, [over]);
    } else if (isDead(state, request)) {
      this.#waiting.delete(id);
      const who = request.to === 0n ? "the mailbox" : showId(request.to);
      const message = `${who} was gone before it replied`;
      call.fail(new ContixError("ESRCH", message, { argument: "pid" }), undefined, [over]);
    }
  }

  /** The process is over: whoever waits for its reply waits in vain. */
  processOver(pid: bigint): void {
    for (const { id, to, from } of [...this.#journal.state.ipc.requests.values()]) {
      if (to === pid) this.settle(id);
      else if (from === pid && !this.#waiting.has(id)) {
        this.#journal.append({ type: "request.over", id });
      }
    }
  }

  /** A run of the process is over: what it had received and not replied to, it never will. */
  runOver(pid: bigint): void {
    const { state } = this.#journal;
    for (const { id, to, box, reply } of [...state.ipc.requests.values()]) {
      if (to !== pid || reply) continue;
      // Its next run finds what is still in the mailbox.
      if (findBox(state, box)?.mails.some((mail) => mail.id === id)) continue;
      const call = this.#waiting.get(id);
      this.#waiting.delete(id);
      const message = `${showId(pid)} was started again before it replied`;
      const over: JournalRecord = { type: "request.over", id };
      if (call)
        call.fail(new ContixError("ESRCH", message, { argument: "pid" }), undefined, [over]);
      else this.#journal.append(over);
    }
  }

  get ids(): bigint[] {
    return [...this.#waiting.keys()];
  }

  #withdraw({ id, box }: Request): void {
    this.#waiting.delete(id);
    this.#journal.append({ type: "mail.taken", box, id }, { type: "request.over", id });
  }
}

export function request(kernel: Kernel, call: Call): void {
  const args = argumentsOf(call, "request");
  const { run, syscall, process } = call;
  const from = process.pid;
  const { requests, asked } = kernel.journal.state.ipc;
  const again = requests.get(asked.get(callKey({ from, run, seq: syscall.seq })) ?? 0n);
  if (again) {
    kernel.ipc.requests.wait(again, call);
    callWaits(kernel, call);
    return;
  }
  checkMessage(kernel, args);
  const { ref, box } = destination(kernel, call);
  checkFits(kernel.journal.state, box, args.body.length, kernel.config.limits);
  const id = kernel.ipc.mail.nextId();
  const { body, topic, priority } = args;
  const to = "pid" in ref ? ref.pid : 0n;
  kernel.journal.append(
    { type: "request.sent", id, from, run, seq: syscall.seq, box: ref, to },
    { type: "mail.sent", box: ref, mail: { id, from, topic, body, priority, request: true } },
  );
  const sent = kernel.journal.state.ipc.requests.get(id);
  if (sent) kernel.ipc.requests.wait(sent, call);
  kernel.ipc.mail.offer(ref);
  callWaits(kernel, call);
}

export function reply(kernel: Kernel, call: Call): void {
  const { id, body, error } = argumentsOf(call, "reply");
  checkMessage(kernel, { body, topic: "", priority: 0 });
  const asked = kernel.journal.state.ipc.requests.get(id);
  if (!asked || asked.reply) {
    const message = `nobody waits for a reply to ${id}: it was answered, or given up`;
    throw new ContixError("ENOENT", message, { argument: "id" });
  }
  if (asked.to !== call.process.pid || isUnread(kernel.journal.state, asked)) {
    const message = `request ${id} was not received by this process`;
    throw new ContixError("EPERM", message, { argument: "id" });
  }
  call.done({ $case: "reply", value: {} }, [{ type: "request.replied", id, body, error }]);
  kernel.ipc.requests.settle(id);
}

/** Whether whoever should reply is gone. */
function isDead(state: ReadonlyState, { to, box }: Request): boolean {
  if (to === 0n) return findBox(state, box) === undefined;
  const process = state.processes.get(to);
  return !process || process.exit !== undefined;
}

/** Whether the request still lies in its mailbox. */
function isUnread(state: ReadonlyState, { id, box }: { id: bigint; box: BoxRef }): boolean {
  return findBox(state, box)?.mails.some((mail) => mail.id === id) ?? false;
}

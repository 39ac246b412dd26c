/** The syscalls of mailboxes: send, recv, ack. */
import { ContixError } from "../../proto/errno.js";
import type { SendCall } from "../../proto/gen/contix/v1/calls.js";
import { argumentsOf, inRange } from "../args.js";
import type { Call } from "../call.js";
import { askerOf } from "../cap/calls.js";
import { type Transfer, transfer } from "../cap/transfer.js";
import type { BoxRef } from "../journal/fold-ipc.js";
import type { JournalRecord } from "../journal/records.js";
import type { Kernel } from "../kernel.js";
import { callWaits } from "../mm/process-waits.js";
import { type Box, checkFits, findBox, type Letter } from "./boxes.js";

const TOPIC_LENGTH = 256;
const HIGHEST_PRIORITY = 9;
const LONGEST_US = 30 * 86_400 * 1e6;

export function send(kernel: Kernel, call: Call): void {
  const args = argumentsOf(call, "send");
  checkMessage(kernel, args);
  const { ref, box } = destination(kernel, call);
  checkFits(kernel.journal.state, box, args.body.length, kernel.config.limits);
  const { handles, records } = passHandles(kernel, call, args.handles, ref);
  const id = kernel.ipc.mail.nextId();
  const { topic, body, priority } = args;
  const mail = { id, from: call.process.pid, topic, body, priority, handles };
  const sent: JournalRecord = { type: "mail.sent", box: ref, mail };
  call.done({ $case: "send", value: { id } }, [...records, sent]);
  kernel.ipc.mail.offer(ref);
  // Whoever waited by a handle that it passed on waits no more.
  if (handles.length > 0) kernel.trap.recheck();
}

export function recv(kernel: Kernel, call: Call): void {
  const { from, requests, visibilityUs } = argumentsOf(call, "recv");
  const leaseUs = inRange("visibility_us", Number(visibilityUs), 0, LONGEST_US);
  if (requests && leaseUs > 0) {
    const message = "a request is answered, not acknowledged: visibility_us must be 0";
    throw new ContixError("EINVAL", message, { argument: "visibility_us" });
  }
  const ref = source(call);
  const { pid } = call.process;
  const wants = (mail: Letter): boolean =>
    mail.request === requests && (from === 0n || mail.from === from);
  const take = (mail: Letter): void => {
    const { id } = mail;
    const value = { ...shown(mail), delivery: leaseUs > 0 ? mail.deliveries + 1 : 0 };
    const effects: JournalRecord[] =
      leaseUs > 0
        ? [{ type: "mail.leased", box: ref, id, pid, us: leaseUs }]
        : [{ type: "mail.taken", box: ref, id }];
    if (mail.request) effects.push({ type: "request.received", id, by: pid });
    call.done({ $case: "recv", value }, effects);
    if (leaseUs > 0) kernel.ipc.mail.leased(ref, id, pid, leaseUs);
  };
  call.waitingOn = "message";
  const end = (error: ContixError): void => call.end(error);
  call.onEnd(kernel.ipc.mail.wait(ref, { pid, wants, take, end }));
  callWaits(kernel, call);
}

export function ack(kernel: Kernel, call: Call): void {
  const { id, delivery, again, delayUs } = argumentsOf(call, "ack");
  const restUs = inRange("delay_us", Number(delayUs), 0, LONGEST_US);
  const ref = source(call);
  const { mail: mailboxes } = kernel.ipc;
  const mail = findBox(kernel.journal.state, ref)?.mails.find((each) => each.id === id);
  if (mail?.lease?.pid !== call.process.pid || mail.deliveries !== delivery) {
    const message = `delivery ${delivery} of message ${id} is not this process's any more: it was acknowledged, or its time was over`;
    throw new ContixError("ENOENT", message, { argument: "id" });
  }
  const answer = { $case: "ack" as const, value: {} };
  if (!again) {
    mailboxes.ended(ref, id);
    call.done(answer, [{ type: "mail.taken", box: ref, id }]);
  } else if (restUs > 0) {
    call.done(answer, [{ type: "mail.leased", box: ref, id, pid: 0n, us: restUs }]);
    mailboxes.leased(ref, id, 0n, restUs);
  } else {
    const { records, after } = mailboxes.giveBack(ref, mail);
    call.done(answer, records);
    after();
  }
}

/** The mailbox that a call sends to: a process's inbox, or the one that its handle names. */
export function destination(kernel: Kernel, call: Call): { ref: BoxRef; box: Box } {
  const id = idOn(call, "mailbox");
  const ref: BoxRef = id === undefined ? { pid: call.target?.pid ?? 0n } : { id };
  const box = findBox(kernel.journal.state, ref);
  if (!box) throw new ContixError("ESRCH", "the mailbox is gone", { argument: "pid" });
  return { ref, box };
}

/** EMSGSIZE and EINVAL for what no mailbox takes. */
export function checkMessage(
  { config }: Pick<Kernel, "config">,
  { body, topic, priority }: Pick<SendCall, "body" | "topic" | "priority">,
): void {
  const { messageBytes } = config.limits;
  if (body.length > messageBytes || topic.length > TOPIC_LENGTH) {
    const what = `a message of ${body.length} bytes, topic ${topic.length}; at most ${messageBytes} and ${TOPIC_LENGTH}`;
    throw new ContixError("EMSGSIZE", what, { argument: "body" });
  }
  inRange("priority", priority, 0, HIGHEST_PRIORITY);
}

/** What a receiver is told of a message. */
function shown({ id, from, topic, body, priority, handles, request, ...mail }: Letter) {
  const { missed, lapsed, dead } = mail;
  const common = { id, from, topic, body: Buffer.from(body), priority, request };
  return { ...common, handles: [...handles], missed, lapsed, dead };
}

/** The mailbox that a call receives from: its own inbox, or the one that its handle names. */
function source(call: Call): BoxRef {
  const id = idOn(call, "mailbox");
  return id === undefined ? { pid: call.process.pid } : { id };
}

function idOn(call: Call, type: "mailbox"): bigint | undefined {
  const id = call.uses.find(({ object }) => object.type === type)?.object.id;
  return typeof id === "bigint" ? id : undefined;
}

/**
 * Handles that go with a message are its receiver's from then on, by the numbers that the
 * message tells. So they go to a process, never to a mailbox that many may read.
 */
function passHandles(
  kernel: Kernel,
  call: Call,
  handles: readonly number[],
  ref: BoxRef,
): Transfer {
  if (handles.length === 0) return { handles: [], records: [] };
  const to = "pid" in ref ? kernel.journal.state.processes.get(ref.pid) : undefined;
  if (!to) {
    const message = "handles go to a process, by its pid";
    throw new ContixError("EINVAL", message, { argument: "handles" });
  }
  return transfer(kernel, askerOf(kernel, call), handles, to);
}

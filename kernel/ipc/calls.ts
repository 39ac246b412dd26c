/** The ipc syscalls: messages between processes. */
import { ContixError } from "../../proto/errno.js";
import { argumentsOf } from "../args.js";
import type { Call } from "../call.js";
import { useProcess } from "../cap/handles.js";
import { makeId, showId } from "../ids.js";
import type { Mail } from "../journal/state.js";
import { type Kernel, NODE } from "../kernel.js";
import { processWaits } from "../mm/process-waits.js";

const TOPIC_LENGTH = 256;

export function send(kernel: Kernel, call: Call): void {
  const { pid: to, body, topic } = argumentsOf(call, "send");
  const { limits } = kernel.config;
  const { state } = kernel.journal;
  const target = useProcess(state, call.process, to, showId(to));
  if (body.length > limits.messageBytes || topic.length > TOPIC_LENGTH) {
    const what = `a message of ${body.length} bytes, topic ${topic.length}; at most ${limits.messageBytes} and ${TOPIC_LENGTH}`;
    throw new ContixError("EMSGSIZE", what, { argument: "body" });
  }
  const { mailbox, mailboxBytes } = target;
  const full =
    mailbox.length >= limits.mailboxMessages ||
    (mailbox.length > 0 && mailboxBytes + body.length > limits.mailboxBytes);
  if (full) {
    throw new ContixError("EAGAIN", `the mailbox of ${showId(to)} is full`, {
      retryAfterUs: 100_000,
    });
  }
  const id = makeId(NODE, state.counters.mail + 1);
  const mail: Mail = { id, from: call.process.pid, topic, body };
  call.done({ $case: "send", value: { id } }, [{ type: "mail.sent", to, ...mail }]);
  kernel.mail.deliver(to, mail);
}

export function recv(kernel: Kernel, call: Call): void {
  const { from } = argumentsOf(call, "recv");
  const { pid } = call.process;
  const take = ({ id, from, topic, body }: Mail): void => {
    const value = { id, from, topic, body: Buffer.from(body) };
    call.done({ $case: "recv", value }, [{ type: "mail.taken", id, pid }]);
  };
  const waiting = call.process.mailbox.find((mail) => from === 0n || mail.from === from);
  if (waiting) {
    take(waiting);
    return;
  }
  call.waitingOn = "message";
  processWaits(kernel, call.process, { kind: "message" });
  call.onEnd(kernel.mail.wait(pid, { from, take }));
}

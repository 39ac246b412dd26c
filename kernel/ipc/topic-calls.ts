/** The syscalls of topics: publish, subscribe. */
import { ContixError } from "../../proto/errno.js";
import { argumentsOf, inRange } from "../args.js";
import type { Call } from "../call.js";
import { RIGHTS } from "../cap/rights.js";
import { makeId } from "../ids.js";
import type { Kernel } from "../kernel.js";
import { checkMessage } from "./mail-calls.js";
import { theObject } from "./objects.js";
import { checkRoom, hand } from "./open-calls.js";
import { checkPattern, checkSubject, covers } from "./subjects.js";
import type { Scope } from "./topics.js";

const SCOPES: readonly string[] = ["", "all", "local"];
const SLOW: readonly string[] = ["", "miss", "refuse"];
const QUEUE_MESSAGES = 256;

export function publish(kernel: Kernel, call: Call): void {
  const { body, scope: where, ...args } = argumentsOf(call, "publish");
  const scope = oneOf("scope", where, SCOPES) as Scope;
  const topic = topicOf(kernel, call);
  const subject = checkSubject("subject", args.subject || topic || "");
  checkWithin("subject", topic, subject);
  checkMessage(kernel, { body, topic: "", priority: 0 });
  const { pid: from, principal } = call.process;
  const publication = { principal, from, subject, body };
  const { topics } = kernel.ipc;
  const { delivered, missed, records, after } = topics.prepare(publication, scope);
  const sent = topics.sendOn(publication, scope);
  call.done({ $case: "publish", value: { delivered, missed, sent } }, records);
  after();
}

export function subscribe(kernel: Kernel, call: Call): void {
  const args = argumentsOf(call, "subscribe");
  const { limits } = kernel.config;
  const topic = topicOf(kernel, call);
  const pattern = checkPattern("pattern", args.pattern || topic || "");
  checkWithin("pattern", topic, pattern);
  const slow = oneOf("slow", args.slow, SLOW) === "refuse" ? "refuse" : "miss";
  const { principal, pid: by } = call.process;
  checkRoom(kernel, principal);
  const id = makeId(kernel.journal.node, kernel.journal.state.ipc.last + 1);
  const object = {
    type: "mailbox" as const,
    maxMessages: inRange("messages", args.messages || QUEUE_MESSAGES, 1, limits.mailboxMessages),
    maxBytes: inRange("bytes", args.bytes, 0, limits.mailboxBytes),
    maxDeliveries: 5,
    deadLetters: "dead-letters",
    subscription: { pattern, slow } as const,
  };
  const rights = [RIGHTS.read | RIGHTS.grant];
  const { handles, records } = hand(kernel, call, { type: "mailbox", id }, rights);
  const [handle = 0] = handles;
  call.done({ $case: "subscribe", value: { handle, id } }, [
    { type: "ipc.opened", id, principal, name: "", object, by },
    ...records,
  ]);
  kernel.ipc.topics.settle();
}

/** The pattern of the topic that the call's handle names; undefined: it has none. */
function topicOf({ journal }: Kernel, call: Call): string | undefined {
  return call.syscall.handle === 0 ? undefined : theObject(journal.state, call, "topic").name;
}

/** EPERM: the handle is on other subjects. */
function checkWithin(argument: string, topic: string | undefined, text: string): void {
  if (topic === undefined || covers(topic, text)) return;
  const message = `the handle is on topic "${topic}", and "${text}" is not within it`;
  throw new ContixError("EPERM", message, { argument });
}

function oneOf(argument: string, value: string, choice: readonly string[]): string {
  if (choice.includes(value)) return value;
  const names = choice.map((each) => `"${each}"`).join(", ");
  const message = `${argument} is "${value.slice(0, 16)}"; it must be one of ${names}`;
  throw new ContixError("EINVAL", message, { argument });
}

/** The syscalls that make, find and remove named objects. */
import { ContixError } from "../../proto/errno.js";
import type { IpcObjectInfo, MailboxOptions, OpenCall } from "../../proto/gen/contix/v1/ipc.js";
import { argumentsOf, inRange } from "../args.js";
import type { Call } from "../call.js";
import { nextHandle } from "../cap/births.js";
import { ALL_RIGHTS, type ObjectType, RIGHTS } from "../cap/rights.js";
import { makeId } from "../ids.js";
import { type IpcRecord, type IpcType, nameKey } from "../journal/fold-ipc.js";
import type { ReadonlyState } from "../journal/journal.js";
import type { JournalRecord } from "../journal/records.js";
import type { Kernel } from "../kernel.js";
import { checkPattern } from "./subjects.js";

type Opened = Extract<IpcRecord, { type: "ipc.opened" }>["object"];
type IpcObjects = ReadonlyState["ipc"]["objects"] extends ReadonlyMap<bigint, infer O> ? O : never;

const TYPES: readonly string[] = ["mailbox", "topic", "pipe", "lock", "barrier"];
const NAME = /^[^\s\p{Cc}]{1,128}$/u;
const PIPE_BYTES = 65_536;
/** What the SDK writes at once fits into every pipe. */
const SMALLEST_PIPE = 16_384;
/** Bytes that a pipe holds at most. */
export const LARGEST_PIPE = 1 << 20;
const MOST_PARTIES = 4096;
const DELIVERIES = 5;
const DEAD_LETTERS = "dead-letters";
const { read, write, grant } = RIGHTS;

export function open(kernel: Kernel, call: Call): void {
  const args = argumentsOf(call, "open");
  const type = checkType(args.type);
  const name = checkName(type, args.name);
  const wanted = describe(kernel, type, args);
  const { ipc } = kernel.journal.state;
  const { principal, pid: by } = call.process;
  const known = name === "" ? undefined : ipc.names.get(nameKey(principal, type, name));
  const there = known === undefined ? undefined : ipc.objects.get(known);
  if (there) checkSame(there, wanted, args);
  else if (args.existing) {
    throw new ContixError("ENOENT", `there is no ${type} "${name}"`, { argument: "name" });
  }
  const records: JournalRecord[] = [];
  const id = there?.id ?? makeId(kernel.journal.node, ipc.last + 1);
  if (!there) {
    checkRoom(kernel, principal);
    records.push({ type: "ipc.opened", id, principal, name, object: wanted, by });
  }
  const { handles, records: caps } = hand(kernel, call, { type, id }, endsOf(type, name, args));
  records.push(...caps);
  if (type === "pipe") records.push({ type: "pipe.opened", id, end: endOf(name, args) });
  if (type === "barrier") records.push(...joined(kernel, call, there, id));
  const [handle = 0, writeHandle = 0] = handles;
  const value = { handle, id, created: !there, writeHandle };
  call.done({ $case: "open", value }, records);
  kernel.ipc.settle();
}

export function remove(kernel: Kernel, call: Call): void {
  const { type, name } = argumentsOf(call, "remove");
  const id = kernel.journal.state.ipc.names.get(
    nameKey(call.process.principal, checkType(type), name),
  );
  if (id === undefined) {
    throw new ContixError("ENOENT", `there is no ${type} "${name}"`, { argument: "name" });
  }
  call.done({ $case: "remove", value: {} }, [
    { type: "cap.gone", object: { type: checkType(type), id } },
    { type: "ipc.removed", id },
  ]);
  kernel.trap.recheck();
}

export function list(kernel: Kernel, call: Call): void {
  const { principal } = call.process;
  const objects: IpcObjectInfo[] = [];
  for (const object of kernel.journal.state.ipc.objects.values()) {
    if (object.principal !== principal || object.name === "") continue;
    objects.push(info(kernel, object));
  }
  call.done({ $case: "ipcList", value: { objects } });
}

/** Handles on an object for the caller, below the capability by which it may make it. */
export function hand(
  kernel: Kernel,
  call: Call,
  object: { readonly type: ObjectType; readonly id: bigint },
  rights: readonly number[],
): { handles: number[]; records: JournalRecord[] } {
  const { counters } = kernel.journal.state;
  const first = nextHandle(call.process, rights.length);
  const above = call.uses[0]?.capability;
  const { id: parent = 0n, rights: held = 0, expires = 0, ask } = above ?? {};
  const common = { parent, holder: call.process.pid, object, expires, ask };
  const records = rights.map((each, i): JournalRecord => {
    const place = { id: BigInt(counters.cap + 1 + i), handle: first + i };
    return { type: "cap.made", ...common, ...place, rights: each & held };
  });
  return { handles: rights.map((_, i) => first + i), records };
}

/** EDQUOT: the principal has as many objects as it may. */
export function checkRoom({ journal, config }: Kernel, principal: string): void {
  const held = journal.state.ipc.counts.get(principal) ?? 0;
  const most = config.limits.ipcObjectsPerPrincipal;
  if (held < most) return;
  const message = `${principal} has ${held} mailboxes, subscriptions, pipes, locks and the like; at most ${most}`;
  throw new ContixError("EDQUOT", message, { argument: "name" });
}

/** EINVAL: there are no such objects. */
export function checkType(type: string): IpcType {
  if (TYPES.includes(type)) return type as IpcType;
  const message = `type is "${type.slice(0, 64)}"; it must be one of ${TYPES.join(", ")}`;
  throw new ContixError("EINVAL", message, { argument: "type" });
}

function checkName(type: IpcType, name: string): string {
  if (type === "topic") return checkPattern("name", name);
  if (name === "" || NAME.test(name)) return name;
  const message = `name is "${name.slice(0, 128)}"; it must be 1 to 128 characters without blanks`;
  throw new ContixError("EINVAL", message, { argument: "name" });
}

/** The object that the arguments want. */
function describe({ config }: Kernel, type: IpcType, args: OpenCall): Opened {
  switch (type) {
    case "mailbox":
      return { type, ...bounds(config.limits, args.name, args.mailbox) };
    case "pipe":
      return {
        type,
        capacity: inRange("capacity", args.capacity || PIPE_BYTES, SMALLEST_PIPE, LARGEST_PIPE),
      };
    case "barrier":
      return { type, parties: inRange("parties", args.parties, 1, MOST_PARTIES) };
    default:
      return { type };
  }
}

function bounds(
  limits: Kernel["config"]["limits"],
  name: string,
  options: MailboxOptions | undefined,
) {
  const { messages = 0, bytes = 0, maxDeliveries = 0 } = options ?? {};
  const deadLetters = options?.deadLetters ?? (name === DEAD_LETTERS ? "" : DEAD_LETTERS);
  if (deadLetters !== "" && (deadLetters === name || !NAME.test(deadLetters))) {
    const message = `dead_letters is "${deadLetters.slice(0, 128)}"; it must be the name of another mailbox`;
    throw new ContixError("EINVAL", message, { argument: "dead_letters" });
  }
  return {
    maxMessages: inRange("messages", messages, 0, limits.mailboxMessages),
    maxBytes: inRange("bytes", bytes, 0, limits.mailboxBytes),
    maxDeliveries: maxDeliveries || DELIVERIES,
    deadLetters,
  };
}

/** EEXIST: what is there is another than what is asked for. What was left out is as it is. */
function checkSame(there: IpcObjects, wanted: Opened, args: OpenCall): void {
  const differs = (argument: string, is: number | string): ContixError => {
    const message = `${there.type} "${there.name}" is there, and its ${argument} is ${is}`;
    return new ContixError("EEXIST", message, { argument });
  };
  if (there.type === "barrier" && wanted.type === "barrier") {
    if (there.parties !== wanted.parties) throw differs("parties", there.parties);
  } else if (there.type === "pipe" && args.capacity !== 0) {
    if (there.capacity !== args.capacity) throw differs("capacity", there.capacity);
  } else if (there.type === "mailbox" && wanted.type === "mailbox" && args.mailbox) {
    const { messages, bytes, maxDeliveries, deadLetters } = args.mailbox;
    const { box } = there;
    if (messages !== 0 && messages !== box.maxMessages) throw differs("messages", box.maxMessages);
    if (bytes !== 0 && bytes !== box.maxBytes) throw differs("bytes", box.maxBytes);
    if (maxDeliveries !== 0 && maxDeliveries !== box.maxDeliveries) {
      throw differs("max_deliveries", box.maxDeliveries);
    }
    if (deadLetters !== undefined && deadLetters !== box.deadLetters) {
      throw differs("dead_letters", `"${box.deadLetters}"`);
    }
  }
}

/** The rights of each handle that is opened. The ends of a pipe are told apart by theirs. */
export function endsOf(type: IpcType, name: string, { end }: Pick<OpenCall, "end">): number[] {
  if (type !== "pipe") return [ALL_RIGHTS];
  if (name === "") return [read | grant, write | grant];
  if (end === "read") return [read | grant];
  if (end === "write") return [write | grant];
  const message = `end is "${end.slice(0, 16)}"; of a named pipe it must be "read" or "write"`;
  throw new ContixError("EINVAL", message, { argument: "end" });
}

function endOf(name: string, { end }: OpenCall): "read" | "write" | "both" {
  if (name === "") return "both";
  return end === "read" ? "read" : "write";
}

/** Whoever opens a barrier is one of its parties. */
function joined(
  { ipc }: Kernel,
  { process }: Call,
  there: IpcObjects | undefined,
  id: bigint,
): JournalRecord[] {
  if (there?.type === "barrier") {
    ipc.barriers.settle(id);
    ipc.barriers.checkRoom(there, process.pid);
  }
  return [{ type: "barrier.joined", id, pid: process.pid }];
}

function info({ ipc }: Kernel, object: IpcObjects): IpcObjectInfo {
  const { id, type, name } = object;
  const box = object.type === "mailbox" ? object.box : undefined;
  return {
    id,
    type,
    name,
    messages: box?.mails.length ?? 0,
    leased: box?.mails.filter(({ lease }) => lease).length ?? 0,
    bytes: BigInt(box?.bytes ?? (object.type === "pipe" ? object.bytes : 0)),
    holder: object.type === "lock" ? (object.holder?.pid ?? 0n) : 0n,
    waiting: ipc.waiting(id),
    parties: object.type === "barrier" ? object.parties : 0,
  };
}

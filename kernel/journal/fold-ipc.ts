/**
 * The fold's part for messages between processes: what each record makes of a mailbox,
 * a request, a pipe, a lock, a barrier. Who waits is no state: calls that wait come
 * again by themselves after a restart, as they were named.
 */
import { showId } from "../ids.js";
import { applyMail, hold, sizeOf } from "./fold-mail.js";
import type { Budget } from "./fold-procs.js";
import { COUNTER, type State } from "./state.js";

/** Bytes up to which what is written to a pipe is put together. */
const CHUNK = 4096;

/** What a name in a principal's namespace may stand for. */
export type IpcType = "mailbox" | "topic" | "pipe" | "lock" | "barrier";

/** A message. Those that were received and wait for their acknowledgement have a lease. */
export interface Mail {
  readonly id: bigint;
  readonly from: bigint;
  readonly topic: string;
  readonly body: Uint8Array;
  /** 0 to 9: higher ones are received first. */
  readonly priority: number;
  /** It wants a reply. */
  readonly request: boolean;
  /** Numbers, in the receiver, of the handles that came with it. */
  readonly handles: readonly number[];
  /** Why it is a dead letter; "" when it is none. */
  readonly dead: string;
  /** To a subscription: how many were missed before it. */
  readonly missed: number;
  /** Before it the line between kernels was cut: an unknown number may be missing. */
  readonly lapsed: boolean;
  /** How often it was handed out to be acknowledged. */
  deliveries: number;
  /** Who has it now; pid 0: nobody, it rests until it is delivered again. */
  lease: { readonly pid: bigint; readonly us: number } | undefined;
}

/** Whose bytes what lies somewhere are: they count against the quotas of these. */
export interface Held {
  readonly principal: string;
  /** Those of the process whose inbox it is, or that opened it. */
  readonly budgets: readonly Budget[];
}

export interface Mailbox extends Held {
  /** 0: a process's inbox. */
  readonly id: bigint;
  /** As errors call it: `mailbox "jobs"`, `the inbox of n1.4`. */
  readonly title: string;
  /** Bounds; 0: the daemon's limits, as they are when a message comes. */
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly maxDeliveries: number;
  /** The mailbox for dead letters, by name; "": none. */
  readonly deadLetters: string;
  /** In the order in which they are received: priority, then age. */
  readonly mails: Mail[];
  bytes: number;
  /** Of a subscription: what was not put in since the last message that was. */
  missed: number;
  lapsed: boolean;
}

/** A process's inbox, or an object. */
export type BoxRef = { readonly pid: bigint } | { readonly id: bigint };

interface Named {
  readonly id: bigint;
  readonly principal: string;
  readonly name: string;
}
export interface MailboxObject extends Named {
  readonly type: "mailbox";
  readonly box: Mailbox;
  /** Of a subscription. */
  readonly subscription: Subscription | undefined;
}
export interface Subscription {
  readonly pattern: string;
  readonly slow: "miss" | "refuse";
}
export interface TopicObject extends Named {
  readonly type: "topic";
}
export interface PipeObject extends Named, Held {
  readonly type: "pipe";
  readonly capacity: number;
  readonly chunks: Uint8Array[];
  bytes: number;
  /** Whether an end of each kind was ever opened: before that nobody is missing. */
  read: boolean;
  written: boolean;
}
export interface LockObject extends Named {
  readonly type: "lock";
  /** The last token that was given out. */
  token: bigint;
  holder: { readonly pid: bigint; readonly leaseUs: number } | undefined;
}
export interface BarrierObject extends Named {
  readonly type: "barrier";
  readonly parties: number;
  /** Those who opened it and are there. */
  readonly members: Set<bigint>;
  /** Members that are gone and whose place nobody has taken. */
  gone: number;
  generation: bigint;
}
export type IpcObject = MailboxObject | TopicObject | PipeObject | LockObject | BarrierObject;

/** A request that is not answered. */
export interface RequestState {
  readonly id: bigint;
  readonly from: bigint;
  readonly run: number;
  readonly seq: bigint;
  readonly box: BoxRef;
  /** Who may reply; 0: whoever receives it. */
  to: bigint;
  reply: { readonly body: Uint8Array; readonly error: string } | undefined;
}

export interface IpcState {
  readonly objects: Map<bigint, IpcObject>;
  /** `nameKey` → id. */
  readonly names: Map<string, bigint>;
  readonly requests: Map<bigint, RequestState>;
  /** `callKey` → id of the request that the call made. */
  readonly asked: Map<string, bigint>;
  /** principal → pattern → ids of the mailboxes. */
  readonly subscriptions: Map<string, Map<string, Set<bigint>>>;
  /** How many objects, subscriptions too, a principal has. */
  readonly counts: Map<string, number>;
  /** By principal: bytes in its inboxes, mailboxes and pipes. */
  readonly bytes: Map<string, number>;
  /** The last counter used of objects. */
  last: number;
}

type OpenedObject =
  | {
      readonly type: "mailbox";
      readonly maxMessages: number;
      readonly maxBytes: number;
      readonly maxDeliveries: number;
      readonly deadLetters: string;
      readonly subscription?: Subscription;
    }
  | { readonly type: "topic" | "lock" }
  | { readonly type: "pipe"; readonly capacity: number }
  | { readonly type: "barrier"; readonly parties: number };

export type IpcRecord =
  | {
      type: "ipc.opened";
      id: bigint;
      principal: string;
      name: string;
      object: OpenedObject;
      /** Which process opened it; missing: none. */
      by?: bigint;
    }
  | { type: "ipc.removed"; id: bigint }
  // ---- mail: see fold-mail.ts ----
  | {
      type: "mail.sent";
      box: BoxRef;
      mail: Pick<Mail, "id" | "from" | "topic" | "body"> & Partial<Mail>;
    }
  | { type: "mail.taken"; box: BoxRef; id: bigint }
  | { type: "mail.leased"; box: BoxRef; id: bigint; pid: bigint; us: number }
  | { type: "mail.returned"; box: BoxRef; id: bigint }
  | { type: "mail.died"; box: BoxRef; id: bigint; to: BoxRef; why: string }
  /** A subscription was full, so many times; or the line was cut. */
  | { type: "mail.missed"; box: BoxRef; missed: number; lapsed: boolean }
  // ---- requests ----
  | {
      type: "request.sent";
      id: bigint;
      from: bigint;
      run: number;
      seq: bigint;
      box: BoxRef;
      to: bigint;
    }
  | { type: "request.received"; id: bigint; by: bigint }
  | { type: "request.replied"; id: bigint; body: Uint8Array; error: string }
  | { type: "request.over"; id: bigint }
  // ---- pipes, locks, barriers ----
  | { type: "pipe.opened"; id: bigint; end: "read" | "write" | "both" }
  | { type: "pipe.wrote"; id: bigint; data: Uint8Array }
  | { type: "pipe.read"; id: bigint; bytes: number }
  | { type: "lock.taken"; id: bigint; pid: bigint; token: bigint; leaseUs: number }
  | { type: "lock.freed"; id: bigint }
  | { type: "barrier.joined"; id: bigint; pid: bigint }
  | { type: "barrier.left"; id: bigint; pid: bigint }
  | { type: "barrier.passed"; id: bigint };

export function emptyIpc(): IpcState {
  return {
    objects: new Map(),
    names: new Map(),
    requests: new Map(),
    asked: new Map(),
    subscriptions: new Map(),
    counts: new Map(),
    bytes: new Map(),
    last: 0,
  };
}

/** An empty inbox of a process. */
export function emptyInbox(pid: bigint, principal: string, budgets: readonly Budget[]): Mailbox {
  const title = `the inbox of ${showId(pid)}`;
  return {
    ...{ id: 0n, principal, budgets, title, maxMessages: 0, maxBytes: 0, maxDeliveries: 5 },
    ...{ deadLetters: "dead-letters", mails: [], bytes: 0, missed: 0, lapsed: false },
  };
}

/** Names of each type are apart: a mailbox and a lock may have the same. */
export function nameKey(principal: string, type: string, name: string): string {
  // Names have no blanks, so no two of these are spelled the same.
  return `${type} ${name} ${principal}`;
}

/** A call by its name. */
export function callKey({ from, run, seq }: Pick<RequestState, "from" | "run" | "seq">): string {
  return `${from} ${run} ${seq}`;
}

/** Applies a record of messages between processes. */
export function applyIpc(state: State, record: IpcRecord): void {
  if (record.type.startsWith("mail.")) applyMail(state, record);
  else if (record.type.startsWith("request.")) applyRequest(state, record);
  else if (record.type === "ipc.opened") opened(state, record);
  else if (record.type === "ipc.removed") removed(state.ipc, record.id);
  else if ("id" in record) {
    const object = state.ipc.objects.get(record.id);
    if (object?.type === "pipe") changePipe(state.ipc, object, record);
    else if (object?.type === "lock") changeLock(object, record);
    else if (object?.type === "barrier") changeBarrier(object, record);
  }
}

function opened(state: State, record: Extract<IpcRecord, { type: "ipc.opened" }>): void {
  const { ipc } = state;
  const { id, principal, name, by = 0n } = record;
  const object = makeObject(record, state.processes.get(by)?.budgets ?? []);
  ipc.last = Math.max(ipc.last, Number(id & COUNTER));
  ipc.objects.set(id, object);
  if (name !== "") ipc.names.set(nameKey(principal, object.type, name), id);
  ipc.counts.set(principal, (ipc.counts.get(principal) ?? 0) + 1);
  const pattern = object.type === "mailbox" ? object.subscription?.pattern : undefined;
  if (pattern === undefined) return;
  const patterns = ipc.subscriptions.get(principal) ?? new Map<string, Set<bigint>>();
  ipc.subscriptions.set(principal, patterns);
  patterns.set(pattern, (patterns.get(pattern) ?? new Set()).add(id));
}

function makeObject(
  record: Extract<IpcRecord, { type: "ipc.opened" }>,
  budgets: readonly Budget[],
): IpcObject {
  const { id, principal, name, object } = record;
  const named = { id, principal, name };
  switch (object.type) {
    case "mailbox": {
      const { subscription, type, ...bounds } = object;
      const title = subscription
        ? `the subscription of "${subscription.pattern}"`
        : `mailbox "${name}"`;
      const contents = { mails: [], bytes: 0, missed: 0, lapsed: false };
      const box = { id, principal, budgets, title, ...bounds, ...contents };
      return { ...named, type, box, subscription };
    }
    case "pipe": {
      const contents = { chunks: [], bytes: 0, read: false, written: false };
      return { ...named, budgets, type: "pipe", capacity: object.capacity, ...contents };
    }
    case "barrier": {
      const members = new Set<bigint>();
      const { parties } = object;
      return { ...named, type: "barrier", parties, members, gone: 0, generation: 0n };
    }
    case "lock":
      return { ...named, type: "lock", token: 0n, holder: undefined };
    case "topic":
      return { ...named, type: "topic" };
  }
}

function removed(ipc: IpcState, id: bigint): void {
  const object = ipc.objects.get(id);
  if (!object) return;
  const { principal, type, name } = object;
  ipc.objects.delete(id);
  if (object.type === "pipe") hold(ipc, object, -object.bytes);
  else if (object.type === "mailbox") hold(ipc, object.box, -sizeOf(object.box));
  if (name !== "") ipc.names.delete(nameKey(principal, type, name));
  const left = (ipc.counts.get(principal) ?? 0) - 1;
  if (left > 0) ipc.counts.set(principal, left);
  else ipc.counts.delete(principal);
  const pattern = object.type === "mailbox" ? object.subscription?.pattern : undefined;
  if (pattern === undefined) return;
  const patterns = ipc.subscriptions.get(principal);
  const ids = patterns?.get(pattern);
  ids?.delete(id);
  if (ids?.size === 0) patterns?.delete(pattern);
  if (patterns?.size === 0) ipc.subscriptions.delete(principal);
}

/** An object that has no name, and no handle any more, is gone. */
export function forgetUnnamed(ipc: IpcState, id: bigint | string): void {
  if (typeof id === "bigint" && ipc.objects.get(id)?.name === "") removed(ipc, id);
}

function applyRequest({ ipc }: State, record: IpcRecord): void {
  if (record.type === "request.sent") {
    const { id, from, run, seq, box, to } = record;
    ipc.requests.set(id, { id, from, run, seq, box, to, reply: undefined });
    ipc.asked.set(callKey(record), id);
    return;
  }
  if (!("id" in record)) return;
  const request = ipc.requests.get(record.id);
  if (!request) return;
  if (record.type === "request.received") request.to = record.by;
  else if (record.type === "request.over") {
    ipc.requests.delete(record.id);
    ipc.asked.delete(callKey(request));
  } else if (record.type === "request.replied") {
    request.reply = { body: record.body, error: record.error };
  }
}

function changePipe(ipc: IpcState, pipe: PipeObject, record: IpcRecord): void {
  const before = pipe.bytes;
  if (record.type === "pipe.opened") {
    pipe.read ||= record.end !== "write";
    pipe.written ||= record.end !== "read";
  } else if (record.type === "pipe.wrote") {
    write(pipe.chunks, record.data);
    pipe.bytes += record.data.length;
  } else if (record.type === "pipe.read") {
    let left = record.bytes;
    for (let first = pipe.chunks[0]; first && left > 0; first = pipe.chunks[0]) {
      const size = Math.min(left, first.length);
      if (size === first.length) pipe.chunks.shift();
      else pipe.chunks[0] = first.subarray(size);
      left -= size;
      pipe.bytes -= size;
    }
  }
  if (pipe.bytes !== before) hold(ipc, pipe, pipe.bytes - before);
}

/** Small writes become one chunk: a chunk takes more than a byte, and a read walks them all. */
function write(chunks: Uint8Array[], data: Uint8Array): void {
  const last = chunks.at(-1);
  if (!last || last.length + data.length > CHUNK) chunks.push(data);
  else chunks[chunks.length - 1] = Buffer.concat([last, data]);
}

function changeLock(lock: LockObject, record: IpcRecord): void {
  if (record.type === "lock.taken") {
    const { pid, token, leaseUs } = record;
    lock.token = token;
    lock.holder = { pid, leaseUs };
  } else if (record.type === "lock.freed") lock.holder = undefined;
}

function changeBarrier(barrier: BarrierObject, record: IpcRecord): void {
  if (record.type === "barrier.joined") {
    if (!barrier.members.has(record.pid) && barrier.gone > 0) barrier.gone--;
    barrier.members.add(record.pid);
  } else if (record.type === "barrier.left") {
    if (barrier.members.delete(record.pid)) barrier.gone++;
  } else if (record.type === "barrier.passed") barrier.generation++;
}

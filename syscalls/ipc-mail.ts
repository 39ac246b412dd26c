/** Messages, mailboxes, requests. */
import type { RecvResult } from "../proto/gen/contix/v1/calls.js";
import { checkCount, checkNumber, checkText } from "./check.js";
import { type Pid, readId, showId } from "./ids.js";
import { type CallOptions, request } from "./invoke.js";
import { IpcHandle, toText } from "./ipc-handle.js";
import type { Session } from "./wire/session.js";

export interface SendOptions extends CallOptions {
  /** A word for what it is about. */
  readonly topic?: string | undefined;
  /** 0 to 9: higher ones are received first; 0 by default. */
  readonly priority?: number | undefined;
  /** Objects, or numbers of handles, that the receiver gets; this process has them no more. */
  readonly handles?: readonly (number | { readonly handle: number })[] | undefined;
}

export interface RecvOptions extends CallOptions {
  /** Only messages of this process. */
  readonly from?: Pid | undefined;
  /**
   * "manual": the message stays in the mailbox, unseen, until `mail.ack()`. When this
   * process ends before, or `visibilityMs` are over, it is delivered again.
   */
  readonly ack?: "manual" | undefined;
  /** With `ack: "manual"`: 30 s by default. */
  readonly visibilityMs?: number | undefined;
}

const VISIBILITY_MS = 30_000;

/** A message out of a mailbox. */
export class Mail {
  readonly #session: Session;
  readonly #box: number;
  readonly #delivery: number;
  /** Its number in the kernel. */
  readonly id: bigint;
  /** Who sent it; "n0.0": the kernel, by a schedule. */
  readonly from: Pid;
  /** The sender's word for what it is about; of a subscription the subject; "" when there is none. */
  readonly topic: string;
  readonly body: Uint8Array;
  readonly priority: number;
  /** Numbers, in this process, of the handles that came with it: see `os.ipc.handle()`. */
  readonly handles: readonly number[];
  /** Of a subscription: how many messages were missed before this one. */
  readonly missed: number;
  /** Of a subscription: other kernels were not reached before this one; some may be missing. */
  readonly lapsed: boolean;
  /** Why it is a dead letter; "" when it is none. */
  readonly dead: string;

  /** Made by `recv()`. */
  constructor(session: Session, box: number, wire: RecvResult) {
    this.#session = session;
    this.#box = box;
    this.#delivery = wire.delivery;
    this.id = wire.id;
    this.from = showId(wire.from);
    this.topic = wire.topic;
    this.body = wire.body;
    this.priority = wire.priority;
    this.handles = wire.handles;
    this.missed = wire.missed;
    this.lapsed = wire.lapsed;
    this.dead = wire.dead;
  }

  /** The body as UTF-8 text. */
  get text(): string {
    return toText(this.body);
  }

  /** How often it was delivered, this time included; 0: it was received without `ack: "manual"`. */
  get delivery(): number {
    return this.#delivery;
  }

  /** It is done: it leaves the mailbox. ENOENT: too late, it was delivered to another. */
  ack(options?: CallOptions): Promise<void> {
    return this.#answer({ again: false, delayUs: 0n }, options);
  }

  /** It is not done: it is delivered again, after `delayMs`; often enough, it is a dead letter. */
  nack(options: CallOptions & { readonly delayMs?: number | undefined } = {}): Promise<void> {
    const delayUs = toMicroseconds("delayMs", options.delayMs ?? 0);
    return this.#answer({ again: true, delayUs }, options);
  }

  async #answer(
    how: { readonly again: boolean; readonly delayUs: bigint },
    options?: CallOptions,
  ): Promise<void> {
    // What was taken at once is done already.
    if (this.#delivery === 0) return;
    const args = { id: this.id, delivery: this.#delivery, ...how };
    await request(this.#session, { name: "ack", handle: this.#box, args }, options);
  }
}

/**
 * A mailbox with a name, for all processes of the principal.
 *
 * @example
 * await using jobs = await os.ipc.mailbox("jobs");
 * for await (const job of jobs) {
 *   await work(job.text);
 *   await job.ack();
 * }
 */
export class Mailbox extends IpcHandle {
  /** Puts a message into it. A full mailbox is EAGAIN. */
  send(body: string | Uint8Array, options: Omit<SendOptions, "handles"> = {}): Promise<void> {
    return sendTo(this.session, { handle: this.handle, pid: 0n }, body, options);
  }

  /** Waits for the next message. */
  recv(options: RecvOptions = {}): Promise<Mail> {
    return recvFrom(this.session, this.handle, options);
  }

  /** Asks whoever receives the request. ESRCH: its process ended before it replied. */
  request(body: string | Uint8Array, options: RequestOptions = {}): Promise<Reply> {
    return ask(this.session, { handle: this.handle, pid: 0n }, body, options);
  }

  /** The requests that come to it: with others who serve, each gets some. */
  serve(options: CallOptions = {}): AsyncIterable<Request> {
    return requests(this.session, this.handle, options);
  }

  /** Its messages, one after the other, to be acknowledged. */
  async *[Symbol.asyncIterator](): AsyncIterator<Mail> {
    for (;;) yield await this.recv({ ack: "manual" });
  }
}

export interface RequestOptions extends CallOptions {
  readonly topic?: string | undefined;
  readonly priority?: number | undefined;
}

/** What a process replied. */
export interface Reply {
  readonly from: Pid;
  readonly body: Uint8Array;
  readonly text: string;
}

/** The peer received the request and said no. */
export class RequestRefused extends Error {
  override readonly name = "RequestRefused";
  readonly from: Pid;

  constructor(from: Pid, reason: string) {
    super(reason);
    this.from = from;
  }
}

/** A request to this process. */
export class Request {
  readonly #session: Session;
  readonly id: bigint;
  readonly from: Pid;
  readonly topic: string;
  readonly body: Uint8Array;

  /** Made by `serve()`. */
  constructor(session: Session, { id, from, topic, body }: RecvResult) {
    this.#session = session;
    this.id = id;
    this.from = showId(from);
    this.topic = topic;
    this.body = body;
  }

  /** The body as UTF-8 text. */
  get text(): string {
    return toText(this.body);
  }

  /** Answers it. ENOENT: nobody waits for it any more. */
  async reply(body: string | Uint8Array, options?: CallOptions): Promise<void> {
    const args = { id: this.id, body: toBytes(body), error: "" };
    await request(this.#session, { name: "reply", args }, options);
  }

  /** Says no: who asked gets a `RequestRefused` with the reason. */
  async refuse(reason: string, options?: CallOptions): Promise<void> {
    const args = {
      id: this.id,
      body: Buffer.alloc(0),
      error: checkText("reason", reason) || "refused",
    };
    await request(this.#session, { name: "reply", args }, options);
  }
}

/** Where a message goes: a process, or the mailbox of a handle. */
interface Address {
  readonly pid: bigint;
  readonly handle: number;
}

export function toAddress(to: Pid | Mailbox): Address {
  if (to instanceof Mailbox) return { pid: 0n, handle: to.handle };
  return { pid: readId("pid", to), handle: 0 };
}

export async function sendTo(
  session: Session,
  { pid, handle }: Address,
  body: string | Uint8Array,
  options: SendOptions,
): Promise<void> {
  const { topic, priority, handles = [] } = options;
  const args = {
    pid,
    body: toBytes(body),
    topic: checkText("topic", topic ?? ""),
    priority: checkCount("priority", priority ?? 0),
    handles: handles.map((each) =>
      checkCount("handles", typeof each === "number" ? each : each.handle),
    ),
  };
  await request(session, { name: "send", handle, args }, options);
}

export async function recvFrom(
  session: Session,
  handle: number,
  options: RecvOptions,
): Promise<Mail> {
  const { from, ack, visibilityMs = VISIBILITY_MS } = options;
  const args = {
    from: from === undefined ? 0n : readId("from", from),
    requests: false,
    visibilityUs: ack === "manual" ? toMicroseconds("visibilityMs", visibilityMs) : 0n,
  };
  return new Mail(session, handle, await request(session, { name: "recv", handle, args }, options));
}

export async function ask(
  session: Session,
  { pid, handle }: Address,
  body: string | Uint8Array,
  options: RequestOptions,
): Promise<Reply> {
  const args = {
    pid,
    body: toBytes(body),
    topic: checkText("topic", options.topic ?? ""),
    priority: checkCount("priority", options.priority ?? 0),
  };
  const reply = await request(session, { name: "request", handle, args }, options);
  const from = showId(reply.from);
  if (reply.error !== "") throw new RequestRefused(from, reply.error);
  return { from, body: reply.body, text: toText(reply.body) };
}

export async function* requests(
  session: Session,
  handle: number,
  options: CallOptions,
): AsyncGenerator<Request> {
  const args = { from: 0n, requests: true, visibilityUs: 0n };
  for (;;) {
    const wire = await request(session, { name: "recv", handle, args }, options);
    yield new Request(session, wire);
  }
}

export function toBytes(body: unknown): Buffer {
  return Buffer.from(body instanceof Uint8Array ? body : checkText("body", body));
}

/** Whole microseconds of a time in milliseconds. */
export function toMicroseconds(argument: string, ms: number): bigint {
  const us = checkNumber(argument, ms) * 1000;
  if (us < 0 || us > Number.MAX_SAFE_INTEGER) {
    throw new RangeError(`${argument}: expected 0 or more milliseconds, got ${ms}`);
  }
  return BigInt(Math.round(us));
}

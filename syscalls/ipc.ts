/** Messages between processes: mailboxes, requests, topics, pipes, locks, barriers. */
import { checkCount, checkText } from "./check.js";
import { type Pid, showIdOrNull } from "./ids.js";
import { type CallOptions, request } from "./invoke.js";
import { Barrier, Lock } from "./ipc-lock.js";
import {
  ask,
  type Mail,
  Mailbox,
  type RecvOptions,
  type Reply,
  type Request,
  type RequestOptions,
  recvFrom,
  requests,
  type SendOptions,
  sendTo,
  toAddress,
} from "./ipc-mail.js";
import { PipeReader, PipeWriter } from "./ipc-pipe.js";
import {
  type Published,
  type PublishOptions,
  publishTo,
  type SubscribeOptions,
  type Subscription,
  subscribeTo,
  Topic,
} from "./ipc-topic.js";
import type { Session } from "./wire/session.js";

/** Where an object lives. */
export interface PlaceOptions extends CallOptions {
  /** The kernel, "n2"; by default the one that this process is attached to. */
  readonly node?: string | undefined;
}

export interface MailboxOptions extends PlaceOptions {
  /** What it holds at most; the daemon's limits by default. */
  readonly messages?: number | undefined;
  readonly bytes?: number | undefined;
  /** A message that was delivered so often and not acknowledged is a dead letter; 5 by default. */
  readonly maxDeliveries?: number | undefined;
  /** The mailbox for those, by name; "dead-letters" by default, null: none. */
  readonly deadLetters?: string | null | undefined;
}

/** An object with a name. */
export interface IpcObject {
  readonly type: "mailbox" | "topic" | "pipe" | "lock" | "barrier";
  readonly name: string;
  /** Of a mailbox: all messages in it, and those that wait for their acknowledgement. */
  readonly messages: number;
  readonly leased: number;
  /** Of a mailbox or a pipe. */
  readonly bytes: number;
  /** Of a lock: who has it. */
  readonly holder: Pid | null;
  /** Calls that wait on it. */
  readonly waiting: number;
  /** Of a barrier. */
  readonly parties: number;
}

/** `os.ipc` */
export class Ipc {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Puts a message into a process's inbox, or into a mailbox. A full one is EAGAIN.
   *
   * @example
   * const { reader, writer } = await os.ipc.pipe();
   * await os.ipc.send(child.pid, "write to this", { handles: [writer] });
   */
  send(to: Pid | Mailbox, body: string | Uint8Array, options: SendOptions = {}): Promise<void> {
    return sendTo(this.#session, toAddress(to), body, options);
  }

  /**
   * Waits for the next message: anyone's, or the next one `from` a process. With
   * `ack: "manual"` it is delivered again unless it is acknowledged. With `timeoutMs: 0`
   * it only looks, and fails with ETIMEDOUT when there is none.
   *
   * @example
   * const mail = await os.ipc.recv();
   * await os.ipc.send(mail.from, `you said: ${mail.text}`);
   */
  recv(options: RecvOptions = {}): Promise<Mail> {
    return recvFrom(this.#session, 0, options);
  }

  /** A mailbox by its name; it is made if it is not there, and stays until it is removed. */
  async mailbox(name: string, options: MailboxOptions = {}): Promise<Mailbox> {
    const { messages, bytes, maxDeliveries, deadLetters } = options;
    const mailbox = {
      messages: checkCount("messages", messages ?? 0),
      bytes: checkCount("bytes", bytes ?? 0),
      maxDeliveries: checkCount("maxDeliveries", maxDeliveries ?? 0),
      deadLetters: deadLetters === null ? "" : deadLetters,
    };
    const { handle } = await this.#open("mailbox", name, { mailbox }, options);
    return new Mailbox(this.#session, handle);
  }

  /**
   * Asks a process and waits for its reply. ESRCH: it ended before it replied.
   *
   * @example
   * const { text } = await os.ipc.request(clerk, "how many?", { timeoutMs: 5000 });
   */
  request(
    to: Pid | Mailbox,
    body: string | Uint8Array,
    options: RequestOptions = {},
  ): Promise<Reply> {
    return ask(this.#session, toAddress(to), body, options);
  }

  /**
   * The requests to this process.
   *
   * @example
   * for await (const request of os.ipc.serve()) await request.reply(answer(request.text));
   */
  serve(options: CallOptions = {}): AsyncIterable<Request> {
    return requests(this.#session, 0, options);
  }

  /** To all that subscribe to the subject: words with dots between, `news.sports`. */
  publish(
    subject: string,
    body: string | Uint8Array,
    options: PublishOptions = {},
  ): Promise<Published> {
    return publishTo(this.#session, 0, subject, body, options);
  }

  /** To all subjects that fit: `*` is any one word, `>` at the end one or more. */
  subscribe(pattern: string, options: SubscribeOptions = {}): Promise<Subscription> {
    return subscribeTo(this.#session, 0, pattern, options);
  }

  /** A part of the subjects as an object, to hand on to a process that has no namespace. */
  async topic(pattern: string, options?: CallOptions): Promise<Topic> {
    const { handle } = await this.#open("topic", pattern, {}, options);
    return new Topic(this.#session, handle);
  }

  /** A pipe: its two ends. One of them usually goes to another process. */
  async pipe(
    options: CallOptions & { readonly capacity?: number | undefined } = {},
  ): Promise<{ reader: PipeReader; writer: PipeWriter }> {
    const capacity = checkCount("capacity", options.capacity ?? 0);
    const { handle, writeHandle } = await this.#open("pipe", "", { capacity }, options);
    const reader = new PipeReader(this.#session, handle);
    return { reader, writer: new PipeWriter(this.#session, writeHandle) };
  }

  /** The reading end of a pipe with a name. */
  async pipeReader(name: string, options?: PlaceOptions): Promise<PipeReader> {
    const { handle } = await this.#open("pipe", name, { end: "read" }, options);
    return new PipeReader(this.#session, handle);
  }

  /** The writing end of a pipe with a name. */
  async pipeWriter(name: string, options?: PlaceOptions): Promise<PipeWriter> {
    const { handle } = await this.#open("pipe", name, { end: "write" }, options);
    return new PipeWriter(this.#session, handle);
  }

  /** A lock by its name. */
  async lock(name: string, options?: PlaceOptions): Promise<Lock> {
    const { handle } = await this.#open("lock", name, {}, options);
    return new Lock(this.#session, handle);
  }

  /** A barrier for so many processes, by its name; whoever opens it is one of them. */
  async barrier(name: string, parties: number, options?: PlaceOptions): Promise<Barrier> {
    const { handle } = await this.#open(
      "barrier",
      name,
      { parties: checkCount("parties", parties, 1) },
      options,
    );
    return new Barrier(this.#session, handle);
  }

  /**
   * What came with a message, by its number, as what it is.
   *
   * @example
   * const [number = 0] = (await os.ipc.recv()).handles;
   * await using writer = os.ipc.handle(number).writer();
   */
  handle(handle: number): {
    mailbox(): Mailbox;
    topic(): Topic;
    reader(): PipeReader;
    writer(): PipeWriter;
    lock(): Lock;
    barrier(): Barrier;
  } {
    const session = this.#session;
    checkCount("handle", handle, 1);
    return {
      mailbox: () => new Mailbox(session, handle),
      topic: () => new Topic(session, handle),
      reader: () => new PipeReader(session, handle),
      writer: () => new PipeWriter(session, handle),
      lock: () => new Lock(session, handle),
      barrier: () => new Barrier(session, handle),
    };
  }

  /** The objects of this principal that have a name. */
  async list(options: PlaceOptions = {}): Promise<IpcObject[]> {
    const args = { node: nodeOf(options) };
    const { objects } = await request(this.#session, { name: "ipcList", args }, options);
    return objects.map(({ id: _, type, bytes, holder, ...rest }) => ({
      ...rest,
      type: type as IpcObject["type"],
      bytes: Number(bytes),
      holder: showIdOrNull(holder),
    }));
  }

  /** Takes an object out of the namespace, with all that is in it. ENOENT. */
  async remove(type: IpcObject["type"], name: string, options: PlaceOptions = {}): Promise<void> {
    const args = {
      ...{ type: checkText("type", type), name: checkText("name", name) },
      node: nodeOf(options),
    };
    await request(this.#session, { name: "remove", args }, options);
  }

  #open(
    type: IpcObject["type"],
    name: string,
    how: {
      readonly mailbox?: {
        readonly messages: number;
        readonly bytes: number;
        readonly maxDeliveries: number;
        readonly deadLetters: string | undefined;
      };
      readonly capacity?: number;
      readonly parties?: number;
      readonly end?: "read" | "write";
    },
    options: PlaceOptions = {},
  ) {
    const { mailbox, capacity = 0, parties = 0, end = "" } = how;
    const args = {
      ...{ type, name: checkText("name", name), existing: false },
      ...{ mailbox, capacity, parties, end, node: nodeOf(options) },
    };
    return request(this.#session, { name: "open", args }, options);
  }
}

function nodeOf({ node = "" }: PlaceOptions): string {
  return checkText("node", node);
}

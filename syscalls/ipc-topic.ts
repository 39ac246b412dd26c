/** Topics: what is published reaches all that subscribe. */
import { checkCount, checkText } from "./check.js";
import { type CallOptions, request } from "./invoke.js";
import { IpcHandle } from "./ipc-handle.js";
import { type Mail, recvFrom, toBytes } from "./ipc-mail.js";
import type { Session } from "./wire/session.js";

export interface PublishOptions extends CallOptions {
  /**
   * "all": EAGAIN when other kernels are not reached. "local": to this kernel only. By
   * default to others as far as they are reached; the result says whether.
   */
  readonly scope?: "all" | "local" | undefined;
}

/** Whom a publication reached. */
export interface Published {
  /** Subscriptions on this kernel. */
  readonly delivered: number;
  /** And those of them that are full: their next message says how many they missed. */
  readonly missed: number;
  /** It went to other kernels. */
  readonly sent: boolean;
}

export interface SubscribeOptions extends CallOptions {
  /** Messages that its queue holds at most; 256 by default. */
  readonly messages?: number | undefined;
  /** Bytes that it holds at most; the daemon's limit of a mailbox by default. */
  readonly bytes?: number | undefined;
  /**
   * When the queue is full. "miss", the default: messages are left out, and the next one
   * says how many (`missed`). "refuse": the publisher gets EAGAIN, and nobody the message;
   * publishers on other kernels are not held up, theirs are missed.
   */
  readonly slow?: "miss" | "refuse" | undefined;
}

/**
 * A subscription: a queue of its own. It ends with `close()`, or when the loop over it is left.
 *
 * @example
 * for await (const news of await os.ipc.subscribe("news.*")) console.log(news.topic, news.text);
 */
export class Subscription extends IpcHandle {
  /** Waits for the next message. */
  recv(options: CallOptions = {}): Promise<Mail> {
    return recvFrom(this.session, this.handle, options);
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Mail> {
    try {
      for (;;) yield await this.recv();
    } finally {
      await this.close();
    }
  }
}

/** Subjects that can be handed on: whoever has its handle publishes and subscribes within them. */
export class Topic extends IpcHandle {
  /** To a subject within the topic; to the topic's own when it has no wildcards. */
  publish(body: string | Uint8Array, options: PublishOptions & { readonly subject?: string } = {}) {
    return publishTo(this.session, this.handle, options.subject ?? "", body, options);
  }

  /** To a pattern within the topic; by default to all of it. */
  subscribe(options: SubscribeOptions & { readonly pattern?: string } = {}): Promise<Subscription> {
    return subscribeTo(this.session, this.handle, options.pattern ?? "", options);
  }
}

export async function publishTo(
  session: Session,
  handle: number,
  subject: string,
  body: string | Uint8Array,
  options: PublishOptions,
): Promise<Published> {
  const args = {
    subject: checkText("subject", subject),
    body: toBytes(body),
    scope: checkText("scope", options.scope ?? ""),
  };
  return request(session, { name: "publish", handle, args }, options);
}

export async function subscribeTo(
  session: Session,
  handle: number,
  pattern: string,
  options: SubscribeOptions,
): Promise<Subscription> {
  const args = {
    pattern: checkText("pattern", pattern),
    messages: checkCount("messages", options.messages ?? 0),
    bytes: checkCount("bytes", options.bytes ?? 0),
    slow: checkText("slow", options.slow ?? ""),
  };
  const made = await request(session, { name: "subscribe", handle, args }, options);
  return new Subscription(session, made.handle);
}

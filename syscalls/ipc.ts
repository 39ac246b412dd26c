/** Messages between processes. */
import { checkText } from "./check.js";
import { type Pid, readId, showId } from "./ids.js";
import { type CallOptions, request } from "./invoke.js";
import type { Session } from "./wire/session.js";

/** A message out of this process's mailbox. */
export interface Mail {
  /** Its number in the kernel. */
  readonly id: bigint;
  readonly from: Pid;
  /** The sender's word for what it is about; "" when there is none. */
  readonly topic: string;
  readonly body: Uint8Array;
  /** The body as UTF-8 text. */
  readonly text: string;
}

/** `os.ipc` */
export class Ipc {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Puts a message into a process's mailbox. A full mailbox is EAGAIN. */
  async send(
    pid: Pid,
    body: string | Uint8Array,
    options: CallOptions & { readonly topic?: string | undefined } = {},
  ): Promise<void> {
    const args = {
      pid: readId("pid", pid),
      body: toBytes(body),
      topic: checkText("topic", options.topic ?? ""),
    };
    await request(this.#session, { name: "send", args }, options);
  }

  /**
   * Waits for the next message: anyone's, or the next one `from` a process.
   * With `timeoutMs: 0` it only looks, and fails with ETIMEDOUT when there is none.
   *
   * @example
   * const mail = await os.ipc.recv();
   * await os.ipc.send(mail.from, `you said: ${mail.text}`);
   */
  async recv(options: CallOptions & { readonly from?: Pid | undefined } = {}): Promise<Mail> {
    const { from } = options;
    const args = { from: from === undefined ? 0n : readId("from", from) };
    const {
      id,
      topic,
      body,
      from: sender,
    } = await request(this.#session, { name: "recv", args }, options);
    return { id, from: showId(sender), topic, body, text: new TextDecoder().decode(body) };
  }
}

function toBytes(body: unknown): Buffer {
  return Buffer.from(body instanceof Uint8Array ? body : checkText("body", body));
}

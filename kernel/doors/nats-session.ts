/**
 * One client of the NATS door: its frames in and out, and the answers to those who ask
 * with plain requests. Frames that come before the client listens are held back.
 */
import { ContixError, toWire } from "../../proto/errno.js";
import {
  ClientFrame,
  type Hello,
  Reply,
  ServerFrame,
  Syscall,
} from "../../proto/gen/contix/v1/kernel.js";
import { NO_USAGE } from "../call.js";
import type { Kernel } from "../kernel.js";
import type { Connection } from "../nats/connections.js";
import type { Admit, Authenticator } from "./authenticate.js";
import type { DoorBook } from "./books.js";
import { inboxOf, inSubject } from "./nats-subjects.js";
import { DoorSession, type Frame } from "./session.js";
import { decodeStrictly, Malformed } from "./strict.js";

/** Frames held for a client that does not listen yet. */
const MOST_HELD = 256;

/** What a session needs of the door. */
export interface Wire {
  readonly book: DoorBook;
  publish(subject: string, body: Uint8Array): void;
  /** The longest message that the server takes, bytes. */
  readonly maxPayload: number;
  readonly admit: Admit;
  /** The kernel ended the session: its connection is to be cut once this was delivered. */
  ended(session: NatsSession): void;
}

const EMPTY = new Uint8Array();

export class NatsSession {
  readonly door: string;
  readonly connection: Connection;
  /** What its connection may hear besides its own. */
  hears: readonly string[] = [];
  readonly #wire: Wire;
  readonly #session: DoorSession;
  /** Where the answers of plain requests go, by seq. */
  readonly #replyTo = new Map<bigint, string>();
  #heard = false;
  #held: Frame[] | undefined = [];
  /** The first frame: the welcome, or why there is none. */
  #answer: Frame | undefined;

  constructor(
    kernel: Kernel,
    auth: Authenticator,
    door: string,
    connection: Connection,
    wire: Wire,
  ) {
    this.door = door;
    this.connection = connection;
    this.#wire = wire;
    this.#session = new DoorSession(kernel, auth, {
      book: wire.book,
      send: (frame) => this.#out(frame),
      end: () => this.#end(),
      // A queue of NATS has no such thing; calls in flight and results not taken are bounded,
      // and whoever sends on while nothing of his is taken is cut off, for a while.
      pause: () => undefined,
      resume: () => undefined,
      hangUp: () => wire.ended(this),
      admit: wire.admit,
    });
  }

  get pid(): bigint | undefined {
    return this.#session.pid;
  }
  /** The client has said that it listens. */
  get ready(): boolean {
    return this.#held === undefined;
  }
  /** It has said anything at all. */
  get heard(): boolean {
    return this.#heard;
  }
  /** The error that refused it, by its name. */
  get refusal(): string | undefined {
    const frame = this.#answer;
    if (frame?.$case !== "reply" || frame.value.result?.$case !== "error") return undefined;
    return frame.value.result.value.name;
  }

  hello(hello: Hello): Promise<void> {
    return this.#session.hello(hello);
  }

  /** Says the welcome, or the error that stands for it. */
  greet(reply: string): void {
    this.#wire.publish(reply, ServerFrame.encode({ frame: this.#answer }).finish());
  }

  /** Takes a message on one of the client's own subjects. `reply` is checked by the caller. */
  receive(kind: string, body: Uint8Array, reply: string): void {
    this.#heard = true;
    if (kind === "frame") {
      const decode = () => decodeStrictly((r) => ClientFrame.decode(r), body);
      this.#session.receive({ bytes: body.length, decode });
    } else if (kind === "call") this.#call(body, reply);
    else if (kind === "ready") this.#release();
    else if (kind === "bye") this.#session.left();
    else this.#wrong(new ContixError("EPROTO", `there is no subject .${kind.slice(0, 32)}`), reply);
  }

  /** Takes a message that was not the client's to send; `why` denies it, once it is its turn. */
  deny(bytes: number, why: () => ContixError): void {
    // Nobody's turn comes before he is attached, and what waits for that has no bound.
    if (this.pid === undefined) {
      why();
      return;
    }
    const decode = () => new Malformed(why());
    this.#session.receive({ bytes, decode }, (error) => {
      if (this.ready) this.refuse(error);
    });
  }

  /** Says an error that belongs to no call. */
  refuse(error: ContixError, reply = ""): void {
    const result = { $case: "error" as const, value: toWire(error) };
    const value = { seq: 0n, usage: NO_USAGE, result };
    if (reply !== "") this.#wire.publish(reply, Reply.encode(value).finish());
    else this.#out({ $case: "reply", value });
  }

  /** The connection is gone. */
  lost(): void {
    this.#session.lost();
  }

  #call(body: Uint8Array, reply: string): void {
    if (reply === "") {
      this.#wrong(new ContixError("EPROTO", "a request without a reply subject"));
      return;
    }
    const decode = (): ClientFrame | Malformed => {
      const syscall = decodeStrictly((r) => Syscall.decode(r), body);
      if (syscall instanceof Malformed) return syscall;
      this.#replyTo.set(syscall.seq, reply);
      return { frame: { $case: "call", value: syscall } };
    };
    this.#session.receive({ bytes: body.length, decode }, (why) => this.refuse(why, reply));
  }

  /** A message that was no frame, in its turn. */
  #wrong(error: ContixError, reply = ""): void {
    this.#session.receive(new Malformed(error), (why) => this.refuse(why, reply));
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const frame of held) this.#out(frame);
  }

  #out(frame: Frame): boolean {
    if (this.#answer === undefined) {
      this.#answer = frame;
      return true;
    }
    if (frame.$case === "reply") {
      const { seq } = frame.value;
      const reply = this.#replyTo.get(seq);
      if (reply !== undefined) {
        this.#replyTo.delete(seq);
        this.#wire.publish(reply, this.#fitting(frame.value));
        return true;
      }
      frame = { $case: "reply", value: Reply.decode(this.#fitting(frame.value)) };
    }
    if (this.#held === undefined) this.#publish(frame);
    else if (this.#held.push(frame) > MOST_HELD) this.#end();
    return true;
  }

  /** A reply that the server would not take becomes the error that says so. */
  #fitting(reply: Reply): Uint8Array {
    const bytes = Reply.encode(reply).finish();
    const most = this.#wire.maxPayload - 64;
    if (bytes.length <= most) return bytes;
    const what = `the reply has ${bytes.length} bytes, and NATS carries ${most}`;
    const error = new ContixError("EMSGSIZE", `${what}; use the gRPC door for it`);
    const result = { $case: "error" as const, value: toWire(error) };
    return Reply.encode({ ...reply, result }).finish();
  }

  #publish(frame: Frame): void {
    const { pid } = this;
    if (pid === undefined) return;
    const bytes = ServerFrame.encode({ frame }).finish();
    this.#wire.publish(`${inSubject(pid, this.door)}.frame`, bytes);
  }

  #end(): void {
    const { pid } = this;
    if (pid !== undefined) {
      this.#release();
      this.#wire.publish(`${inSubject(pid, this.door)}.end`, EMPTY);
    }
    this.#wire.ended(this);
  }
}

/** Whether a reply subject is in the client's own inbox: the server does not check that. */
export function isOwnInbox(door: string, reply: string): boolean {
  return reply.startsWith(`${inboxOf(door)}.`) && !/[*>\s]/.test(reply);
}

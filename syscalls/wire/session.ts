/**
 * A process's attachment: its calls, numbered by seq and multiplexed over one
 * stream, and what happens to them when the stream breaks.
 *
 * The kernel names a call (pid, run, seq) and keeps its result until it is
 * acknowledged. So after a break the session attaches again, once, as the same
 * run, and repeats every call that has no reply, frame by frame as it was: one
 * that had arrived is answered with its first result, one that had not happens
 * now. Streams are the exception: their text is partly read and can not be
 * repeated, so they fail with ConnectionError and are cancelled. When the kernel
 * refuses the run, or is gone, every call fails with ConnectionError.
 */
import {
  Hello,
  type Reply,
  type ServerFrame,
  type Signal,
  type Syscall,
  type Welcome,
} from "../../proto/gen/contix/v1/kernel.js";
import { ConnectionError, SyscallError, syscallError } from "../errors.js";
import { Acks } from "./acks.js";
import type { Endpoint } from "./address.js";
import { type End, encodeFrame, type FrameBytes, type Link, openLink } from "./link.js";
import { type Answer, type CallName, type CallSpec, Pending } from "./pending.js";

const ABI = 1;
const GOODBYE_MS = 1_000;

/** A call under way. */
export interface Ticket<K extends CallName> {
  readonly answer: Promise<Answer<K>>;
  /** Asks the kernel to stop; `answer` then rejects with `reason`, unless the call was done. */
  cancel(reason: unknown): void;
  /** Allows `chunks` more chunks. */
  grant(chunks: number): void;
}

export interface SessionOptions extends Endpoint {
  /** Shown in `ps`. */
  readonly name: string;
  /** How long an attach may take, milliseconds. */
  readonly timeoutMs: number;
  readonly onSignal: (signal: Signal) => void;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #pending = new Map<number, Pending<CallName>>();
  readonly #acks = new Acks();
  #link: Link | undefined;
  #welcome: Welcome | undefined;
  #over: ConnectionError | undefined;
  #word: SyscallError | undefined;
  #lastSeq = 0;
  #maxMessage = 0;
  /** No frame has come since the stream was restored: a second break in a row is the end. */
  #silent = false;

  private constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Attaches a new process, or the one that the token was made for. */
  static async open(options: SessionOptions): Promise<Session> {
    const session = new Session(options);
    const { token, name } = options;
    await session.#attach(Hello.fromPartial({ abi: ABI, token, name }));
    return session;
  }

  get address(): string {
    return this.#options.address;
  }

  get welcome(): Welcome {
    if (this.#welcome === undefined) throw new Error("not attached");
    return this.#welcome;
  }

  /** Sends a call. While the stream is being restored it waits for that. */
  start<K extends CallName>(spec: CallSpec<K>): Ticket<K> {
    if (this.#over !== undefined) return refused(this.#over);
    const seq = this.#lastSeq + 1;
    const frame = toFrame(seq, this.#acks.tell(), spec);
    if (frame.length > this.#maxMessage) return refused(tooLong(frame.length, this.#maxMessage));
    this.#lastSeq = seq;
    const pending = new Pending(seq, frame, spec.name, spec.onChunk, spec.onProgress);
    this.#pending.set(seq, pending as unknown as Pending<CallName>);
    this.#link?.send(frame);
    return {
      answer: pending.answer,
      cancel: (reason) => {
        if (pending.unwanted) return;
        pending.cancel(reason);
        this.#link?.send(pending.cancelFrame);
      },
      grant: (n) => {
        this.#link?.send(encodeFrame({ $case: "credit", value: { seq: BigInt(seq), n } }));
      },
    };
  }

  /** Ends the attachment, and with it the process. Calls under way fail. */
  async close(): Promise<void> {
    if (this.#over !== undefined) return;
    const link = this.#link;
    // The kernel takes an end with calls under way for a broken stream, and waits for us.
    for (const pending of this.#pending.values()) link?.send(pending.cancelFrame);
    this.#end("the connection was closed");
    await link?.close(GOODBYE_MS);
  }

  async #attach(hello: Hello): Promise<void> {
    let link: Link | undefined;
    let ended: End | undefined;
    const { timeoutMs } = this.#options;
    link = await openLink(this.#options, hello, timeoutMs, {
      frame: (frame) => this.#receive(frame),
      end: (how) => {
        ended = how;
        if (link !== undefined && this.#link === link) this.#lost(how);
      },
    });
    const before = this.#welcome;
    if (this.#over !== undefined) return link.destroy();
    if (before !== undefined && !sameRun(before, link.welcome)) {
      link.destroy();
      throw new Error("the kernel began another run");
    }
    this.#silent = before !== undefined;
    this.#link = link;
    this.#maxMessage = link.maxMessage;
    this.#welcome = link.welcome;
    this.#repeat(link);
    if (ended !== undefined) this.#lost(ended);
  }

  #repeat(link: Link): void {
    for (const pending of this.#pending.values()) {
      link.send(pending.frame);
      if (pending.unwanted) link.send(pending.cancelFrame);
    }
  }

  #receive(frame: NonNullable<ServerFrame["frame"]>): void {
    this.#silent = false;
    if (frame.$case === "chunk") {
      const { seq, prefilled, of } = frame.value;
      const pending = this.#pending.get(Number(seq));
      if (of > 0) pending?.progress(prefilled, of);
      else pending?.chunk(frame.value);
    } else if (frame.$case === "reply") {
      this.#reply(frame.value);
    } else if (frame.$case === "signal") {
      this.#options.onSignal(frame.value);
    }
  }

  #reply(reply: Reply): void {
    const seq = Number(reply.seq);
    // The kernel's word on the attachment itself, said before it hangs up.
    if (seq === 0 && reply.result?.$case === "error") this.#word = syscallError(reply.result.value);
    const pending = this.#pending.get(seq);
    if (pending === undefined) return;
    this.#pending.delete(seq);
    pending.reply(reply, this.address);
    if (this.#acks.replied(seq)) {
      this.#link?.send(encodeFrame({ $case: "ack", value: this.#acks.tellAll() }));
    }
  }

  #lost(how: End): void {
    this.#link = undefined;
    // A stream that ends well was ended by the kernel: it shuts down, or we were killed.
    if (how.inOrder) {
      const why = this.#word === undefined ? "" : `: ${this.#word.message}`;
      this.#end(`the kernel ended the connection${why}`, this.#word);
      return;
    }
    const what = `lost the kernel at ${this.address}: ${how.details}`;
    for (const pending of this.#pending.values()) {
      if (pending.onChunk !== undefined) pending.fail(new ConnectionError(this.address, what));
    }
    if (this.#silent) {
      this.#end(what);
      return;
    }
    const { pid, run, resumeToken } = this.welcome;
    const { token, name } = this.#options;
    const hello = { abi: ABI, token, name, features: [], pid, run, resumeToken };
    this.#attach(hello).catch((cause: unknown) => this.#end(what, cause));
  }

  #end(what: string, cause?: unknown): void {
    if (this.#over !== undefined) return;
    const error = new ConnectionError(this.address, what, cause === undefined ? {} : { cause });
    this.#over = error;
    this.#link = undefined;
    for (const pending of this.#pending.values()) pending.fail(error);
    this.#pending.clear();
  }
}

function sameRun(a: Welcome, b: Welcome): boolean {
  return a.pid === b.pid && a.run === b.run;
}

function toFrame<K extends CallName>(seq: number, acked: bigint, spec: CallSpec<K>): FrameBytes {
  const value: Syscall = {
    seq: BigInt(seq),
    handle: spec.handle ?? 0,
    timeoutUs: toMicroseconds(spec.timeoutMs),
    ackedThrough: acked,
    credit: spec.credit ?? 0,
    call: { $case: spec.name, value: spec.args } as NonNullable<Syscall["call"]>,
  };
  return encodeFrame({ $case: "call", value });
}

function tooLong(bytes: number, most: number): SyscallError {
  return new SyscallError("E2BIG", `a call of ${bytes} bytes; at most ${most}`);
}

/** 0 on the wire is "no deadline", so a deadline of 0 ms is the shortest there is. */
function toMicroseconds(ms: number | undefined): bigint {
  if (ms === undefined || ms === Number.POSITIVE_INFINITY) return 0n;
  return BigInt(Math.max(1, Math.round(ms * 1000)));
}

function refused<K extends CallName>(error: Error): Ticket<K> {
  return { answer: Promise.reject(error), cancel: () => undefined, grant: () => undefined };
}

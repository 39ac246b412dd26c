/**
 * A syscall in flight: who asked, what is left of its time, and the one answer it
 * gets. Handlers answer by `done` or by throwing; records of the effect and of the
 * result go to the journal in one transaction.
 */

import { encodeMessage } from "../proto/encode.js";
import { ContixError, type Errno, isErrno, toWire } from "../proto/errno.js";
import type { TokenLogprob } from "../proto/gen/contix/v1/calls.js";
import { Reply, type Syscall, type Usage } from "../proto/gen/contix/v1/kernel.js";
import type { Audit } from "./cap/audit.js";
import type { Use } from "./cap/check.js";
import type { Live } from "./in-flight.js";
import type { Context, Journal, Process } from "./journal/journal.js";
import type { JournalRecord } from "./journal/records.js";

export type Result = Exclude<NonNullable<Reply["result"]>, { $case: "error" }>;
type Kind = "pure" | "local" | "external";

/** A row of the syscall table, as far as a call needs it. */
interface Row {
  readonly name: string;
  readonly kind: Kind;
}

/** How a call ended, for the audit. */
export interface Ending {
  readonly result: "ok" | Errno;
  readonly reason: string;
  readonly usage: Usage;
}

interface CallContext {
  readonly process: Process;
  readonly row: Row;
  readonly syscall: Syscall;
  /** Digest of the payload, for the check of repeated names. */
  readonly digest: string;
  readonly arrivedAt: number;
  readonly journal: Journal;
  readonly audit: Pick<Audit, "sync">;
  /** Takes the answer to wherever the process is attached now. */
  readonly live: Live;
  readonly trap: { over(call: Call, live: Live, ending: Ending): Usage };
}

export const NO_USAGE: Usage = {
  promptTokens: 0,
  cachedTokens: 0,
  generatedTokens: 0,
  recomputedTokens: 0,
  queuedUs: 0n,
  servedUs: 0n,
  firstTokenUs: 0n,
  left: [],
};

const NO_PROGRESS = { prefilled: 0, of: 0 };

export class Call {
  readonly process: Process;
  readonly syscall: Syscall;
  readonly digest: string;
  readonly run: number;
  readonly arrivedAt: number;
  readonly row: Row;
  /** What the call is on, and by which capabilities, as the check of its rights found it. */
  uses: readonly Use[] = [];
  /** The rates let it in: what it holds of them is given back at its end. */
  admitted = false;
  /** The context that the call is on, when the row of the table asks for one. */
  context: Context | undefined;
  /** The process that the call is on, or its second object. */
  target: Process | undefined;
  /** What the process waits on while this call blocks, for `ps`. */
  waitingOn = "";
  /** Set when it has a deadline: called when it is over before. */
  cancelDeadline: (() => void) | undefined;
  readonly #with: CallContext;
  #over = false;
  #onEnd: Set<(error: ContixError) => void> | undefined;
  #onCredit: ((n: number) => void) | undefined;
  #onAttachment: ((attached: boolean) => void) | undefined;
  #onStopped: (() => void) | undefined;
  #elsewhere: ((error: ContixError) => void) | undefined;

  constructor(context: CallContext) {
    this.#with = context;
    this.process = context.process;
    this.syscall = context.syscall;
    this.digest = context.digest;
    this.run = context.process.run;
    this.row = context.row;
    this.arrivedAt = context.arrivedAt;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Throws when the call was cancelled while its handler waited for something. */
  check(): void {
    if (this.#over) throw new ContixError("ECANCELED", "the call was cancelled");
  }

  /**
   * `stop` is called when the call ends before its handler answered: cancel, deadline,
   * death. Whoever came last is told first, as the last thing begun is the first to stop.
   */
  onEnd(stop: (error: ContixError) => void): Disposable {
    this.#onEnd ??= new Set();
    this.#onEnd.add(stop);
    return { [Symbol.dispose]: () => void this.#onEnd?.delete(stop) };
  }
  onCredit(give: (n: number) => void): void {
    this.#onCredit = give;
  }
  /** Hears when the process loses its stream and when it is back. */
  onAttachment(changed: (attached: boolean) => void): void {
    this.#onAttachment = changed;
  }
  /** Hears when the process is stopped and when it goes on. */
  onStopped(changed: () => void): void {
    this.#onStopped = changed;
  }
  /** It is carried out by another kernel: who would end it is heard there, and answers from there. */
  goesOnElsewhere(asked: (error: ContixError) => void): void {
    this.#elsewhere = asked;
  }
  credit(n: number): void {
    this.#onCredit?.(n);
  }
  attachment(attached: boolean): void {
    this.#onAttachment?.(attached);
  }

  processStopped(): void {
    this.#onStopped?.();
  }

  /** Sends what was produced; `logprobs` are those of `tokens`. */
  chunk(text: string, tokens: number[], logprobs?: TokenLogprob[]): void {
    if (this.#over) return;
    const told = logprobs && { logprobs: { tokens: logprobs } };
    this.#with.live.chunk({ ...NO_PROGRESS, seq: this.syscall.seq, text, tokens, ...told });
  }

  /** Says how far a prefill is, tokens. */
  prefilled(prefilled: number, of: number): void {
    const { seq } = this.syscall;
    if (!this.#over) this.#with.live.chunk({ seq, text: "", tokens: [], prefilled, of });
  }

  /** Answers, once. `effects` and the result are one transaction. */
  done(result: Result, effects: readonly JournalRecord[] = [], usage: Usage = NO_USAGE): void {
    if (this.#over) return;
    this.#finish({ seq: this.syscall.seq, usage, result }, effects);
  }

  /** Answers with an error, once. It is kept for repetition as a result is. */
  fail(error: unknown, usage: Usage = NO_USAGE, effects: readonly JournalRecord[] = []): void {
    if (this.#over) return;
    const result = { $case: "error" as const, value: toWire(error) };
    this.#finish({ seq: this.syscall.seq, usage, result }, effects);
  }

  /** Ends the call from outside: its handler is told, then the caller. */
  end(error: ContixError): void {
    if (this.#over) return;
    if (this.#elsewhere) {
      this.#elsewhere(error);
      return;
    }
    const told = [...(this.#onEnd ?? [])].reverse();
    this.#onEnd?.clear();
    for (const stop of told) stop(error);
    this.fail(error);
  }

  #finish(reply: Reply, effects: readonly JournalRecord[]): void {
    this.#over = true;
    this.cancelDeadline?.();
    const { journal, audit, row, digest, live, trap } = this.#with;
    reply.usage = trap.over(this, live, endingOf(reply));
    if (row.kind !== "pure") {
      const { pid } = this.process;
      const { seq } = this.syscall;
      const bytes = encodeMessage(Reply, reply);
      const result = { type: "call.done" as const, pid, run: this.run, seq, digest, reply: bytes };
      journal.append(...effects, result);
    } else if (effects.length > 0) journal.append(...effects);
    // What is acknowledged is durable, and so is the record that it happened.
    const durable = journal.sync();
    if (row.kind !== "pure") {
      void Promise.all([durable, audit.sync()]).then(() => live.reply(reply));
    } else if (durable) void durable.then(() => live.reply(reply));
    else live.reply(reply);
  }
}

function endingOf({ result, usage = NO_USAGE }: Reply): Ending {
  if (result?.$case !== "error") return { result: "ok", reason: "", usage };
  const { name, message } = result.value;
  return { result: isErrno(name) ? name : "EIO", reason: message, usage };
}

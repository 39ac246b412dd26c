/**
 * A syscall in flight: who asked, what is left of its time, and the one answer it
 * gets. Handlers answer by `done` or by throwing; records of the effect and of the
 * result go to the journal in one transaction.
 */

import { ContixError, toWire } from "../proto/errno.js";
import { type Chunk, Reply, type Syscall, type Usage } from "../proto/gen/contix/v1/kernel.js";
import type { Context, Journal, Process } from "./journal/journal.js";
import type { JournalRecord } from "./journal/records.js";

export type Result = Exclude<NonNullable<Reply["result"]>, { $case: "error" }>;
type Kind = "pure" | "local" | "external";

export interface CallContext {
  readonly process: Process;
  readonly syscall: Syscall;
  readonly kind: Kind;
  /** Digest of the payload, for the check of repeated names. */
  readonly digest: string;
  readonly arrivedAt: number;
  readonly journal: Journal;
  /** Takes the answer to wherever the process is attached now. */
  readonly sendReply: (reply: Reply) => void;
  readonly sendChunk: (chunk: Chunk) => void;
  /** Called once, when the call is over. */
  readonly onOver: () => void;
}

export const NO_USAGE: Usage = {
  promptTokens: 0,
  cachedTokens: 0,
  generatedTokens: 0,
  recomputedTokens: 0,
  queuedUs: 0n,
  servedUs: 0n,
  firstTokenUs: 0n,
};

const NO_PROGRESS = { prefilled: 0, of: 0 };

export class Call {
  readonly process: Process;
  readonly syscall: Syscall;
  readonly digest: string;
  readonly run: number;
  readonly arrivedAt: number;
  /** The context that the handle names, when the row of the table asks for one. */
  context: Context | undefined;
  /** What the process waits on while this call blocks, for `ps`. */
  waitingOn = "";
  readonly #with: CallContext;
  #over = false;
  readonly #onEnd = new Set<(error: ContixError) => void>();
  #onCredit: (n: number) => void = () => {};
  #onAttachment: (attached: boolean) => void = () => {};

  constructor(context: CallContext) {
    this.#with = context;
    this.process = context.process;
    this.syscall = context.syscall;
    this.digest = context.digest;
    this.run = context.process.run;
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
    this.#onEnd.add(stop);
    return { [Symbol.dispose]: () => void this.#onEnd.delete(stop) };
  }
  onCredit(give: (n: number) => void): void {
    this.#onCredit = give;
  }
  /** Hears when the process loses its stream and when it is back. */
  onAttachment(changed: (attached: boolean) => void): void {
    this.#onAttachment = changed;
  }
  credit(n: number): void {
    this.#onCredit(n);
  }
  attachment(attached: boolean): void {
    this.#onAttachment(attached);
  }

  chunk(text: string, tokens: number[]): void {
    if (!this.#over) this.#with.sendChunk({ ...NO_PROGRESS, seq: this.syscall.seq, text, tokens });
  }

  /** Says how far a prefill is, tokens. */
  prefilled(prefilled: number, of: number): void {
    const { seq } = this.syscall;
    if (!this.#over) this.#with.sendChunk({ seq, text: "", tokens: [], prefilled, of });
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
    const told = [...this.#onEnd].reverse();
    this.#onEnd.clear();
    for (const stop of told) stop(error);
    this.fail(error);
  }

  #finish(reply: Reply, effects: readonly JournalRecord[]): void {
    this.#over = true;
    const { journal, kind, digest } = this.#with;
    const { pid } = this.process;
    const records = [...effects];
    if (kind !== "pure") {
      const bytes = Reply.encode(reply).finish();
      const { seq } = this.syscall;
      records.push({ type: "call.done", pid, run: this.run, seq, digest, reply: bytes });
    }
    if (records.length > 0) journal.append(...records);
    this.#with.onOver();
    void journal.sync().then(() => this.#with.sendReply(reply));
  }
}

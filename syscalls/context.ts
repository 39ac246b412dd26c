/** A context: a token sequence that lives on between calls. */
import type { CtxAppendCall, CtxCreateResult } from "../proto/gen/contix/v1/calls.js";
import { checkCount, checkNumber, checkText } from "./check.js";
import { type ContextStat, toStat } from "./context-stat.js";
import { ConnectionError } from "./errors.js";
import type { Generation } from "./generation.js";
import { type Cid, type Pid, readId, showId } from "./ids.js";
import { type CallOptions, request } from "./invoke.js";
import { type GenerateOptions, generation } from "./llm.js";
import { type Chat, isTokens, type Message, type Tokens, toChat, toTokens } from "./messages.js";
import {
  type ContextEdit,
  type Filed,
  fromEdit,
  fromFiled,
  fromRecall,
  type Recalled,
  type SegmentOptions,
  toSegment,
  toWhat,
} from "./overflow.js";
import type { Session } from "./wire/session.js";

/** How a context is made, whatever makes it. */
export interface ContextOptions {
  /** It is closed after so long without use, milliseconds; 0, the default: never. */
  readonly ttlMs?: number | undefined;
  /**
   * "all": what it has computed may serve contexts of other principals that say so too, and
   * theirs may serve it. By default contexts of the same principal share, and no others.
   */
  readonly share?: "principal" | "all" | undefined;
}

/** What a program knows of a context's future. It moves pages and changes no answer. */
export interface Advice {
  /**
   * "willneed": it is used again after `pauseMs`, or at once: the eviction policy `agent` keeps
   * its pages by that. "dontneed": they may go first. Nothing is fetched before it runs.
   */
  readonly need?: "willneed" | "dontneed" | "unknown" | undefined;
  /** The next use is expected after so long, milliseconds. */
  readonly pauseMs?: number | undefined;
  /** Only while it has no tokens. */
  readonly share?: ContextOptions["share"];
}

/**
 * A context of this process. One generation runs on it at a time.
 *
 * @example
 * await using ctx = await os.ctx.create();
 * await ctx.append({ role: "system", content: "You answer in one sentence." });
 * for await (const text of ctx.chat("Why is the sky blue?")) process.stdout.write(text);
 */
export class Context implements AsyncDisposable {
  readonly #session: Session;
  readonly #handle: number;
  /** Its end is its owner's affair: closing it gives the handle back. */
  readonly #borrowed: boolean;
  #closed = false;
  readonly cid: Cid;
  /** The most tokens it can hold. */
  readonly window: number;
  /** The model that it belongs to, for good. */
  readonly model: string;

  /** Made by `os.ctx`, and by `fork()`. */
  constructor(session: Session, made: CtxCreateResult, borrowed = false) {
    this.#session = session;
    this.#borrowed = borrowed;
    this.#handle = made.handle;
    this.cid = showId(made.cid);
    this.window = made.window;
    this.model = made.model;
  }

  /** Its number in this process, for `os.cap.grant` and for `handles` of a message. */
  get handle(): number {
    return this.#handle;
  }

  /**
   * Adds text, turns of a conversation, or tokens at the end. Says how many
   * tokens that were, and how many the context has now.
   */
  async append(
    input: string | Message | readonly Message[] | Tokens,
    options: CallOptions & SegmentOptions = {},
  ): Promise<{ appended: number; length: number; edit: ContextEdit | undefined }> {
    const args = { input: toInput(input), ...toSegment(options) };
    const call = { name: "ctxAppend" as const, handle: this.#handle, args };
    const { edit, ...rest } = await request(this.#session, call, options);
    return { ...rest, edit: fromEdit(edit) };
  }

  /**
   * Brings back a segment that was moved out, by its handle or as the one that fits a
   * query best: it is appended to the end, as it was, and its text returned. ENOENT when
   * there is none.
   *
   * @example
   * const { text } = await ctx.recall("the name of the dog");
   */
  async recall(what: number | string, options?: CallOptions): Promise<Recalled> {
    const call = { name: "ctxRecall" as const, handle: this.#handle, args: { what: toWhat(what) } };
    return fromRecall(await request(this.#session, call, options));
  }

  /** What was moved out, the oldest first; with a query what fits it, the best first. */
  async filed(
    options: CallOptions & {
      readonly query?: string | undefined;
      /** The most segments to name, up to 1,000; 100 by default. */
      readonly limit?: number | undefined;
    } = {},
  ): Promise<Filed> {
    const { query = "", limit = 0 } = options;
    const args = { query: checkText("query", query), limit: checkCount("limit", limit) };
    const call = { name: "ctxFiled" as const, handle: this.#handle, args };
    return fromFiled(await request(this.#session, call, options));
  }

  /** Forgets segments that were moved out, for good. */
  async forget(segments: readonly number[], options?: CallOptions): Promise<void> {
    const args = { segments: segments.map((id, i) => checkCount(`segments[${i}]`, id, 1)) };
    await request(this.#session, { name: "ctxForget", handle: this.#handle, args }, options);
  }

  /** Continues the context; what it generates becomes part of it. */
  generate(options: GenerateOptions = {}): Generation {
    return generation(this.#session, this.#handle, options, () => undefined);
  }

  /** Adds a user's turn (or `messages`) and generates the answer, which becomes part of it. */
  chat(messages: Chat, options: GenerateOptions = {}): Generation {
    return generation(this.#session, this.#handle, options, () => toChat(messages));
  }

  async stat(options?: CallOptions): Promise<ContextStat> {
    const call = { name: "ctxStat" as const, handle: this.#handle, args: { cid: 0n } };
    return toStat(await request(this.#session, call, options));
  }

  /**
   * A new context of this process with the same tokens, or the first `length` of them.
   * Nothing is computed for it: both have the pages that are equal.
   *
   * @example
   * const branches = await Promise.all([1, 2, 3].map(() => ctx.fork()));
   */
  async fork(
    options: CallOptions &
      Pick<ContextOptions, "ttlMs"> & { readonly length?: number | undefined } = {},
  ): Promise<Context> {
    const { length, ttlMs } = options;
    const args = {
      cid: 0n,
      length: length === undefined ? undefined : checkCount("length", length),
      ttlUs: toTtl(ttlMs),
    };
    const call = { name: "ctxFork" as const, handle: this.#handle, args };
    return new Context(this.#session, await request(this.#session, call, options));
  }

  /**
   * Goes back to the first `length` tokens, and forgets the rest for good. EBUSY while a
   * generation runs.
   *
   * @example
   * const { length } = await ctx.stat();
   * await ctx.chat("Is that so?");
   * await ctx.truncate(length); // as if it had not been asked
   */
  async truncate(
    length: number,
    options?: CallOptions,
  ): Promise<{ removed: number; length: number }> {
    const args = { length: checkCount("length", length) };
    return request(this.#session, { name: "ctxTruncate", handle: this.#handle, args }, options);
  }

  /** Forgets all its tokens. */
  async clear(options?: CallOptions): Promise<void> {
    await this.truncate(0, options);
  }

  /**
   * Keeps its pages in memory, or with `false` no longer; no longer than the model's driver
   * runs, which is stopped when nobody used it for the daemon's `modelIdle`. Bounded by
   * quotas: EDQUOT.
   */
  async pin(pinned = true, options?: CallOptions): Promise<void> {
    const call = { name: "ctxPin" as const, handle: this.#handle, args: { pinned } };
    await request(this.#session, call, options);
  }

  /**
   * Says what is known of its next use.
   *
   * @example
   * await ctx.advise({ pauseMs: 30_000 }); // a tool runs for about so long
   */
  async advise(advice: Advice, options?: CallOptions): Promise<void> {
    const { need, pauseMs = 0, share } = advice;
    const args = {
      need: checkText("need", need ?? ""),
      pauseUs: toMicroseconds("pauseMs", pauseMs),
      share: checkText("share", share ?? ""),
    };
    await request(this.#session, { name: "ctxAdvise", handle: this.#handle, args }, options);
  }

  /**
   * Hands it to another process of the same principal, which finds it by `os.ctx.open(cid)`.
   * `null`: to nobody; it is kept until somebody opens or closes it, or its time to live is
   * over. This object is closed by it.
   *
   * @example
   * await ctx.give(child.pid);
   * await os.ipc.send(child.pid, ctx.cid);
   */
  async give(pid: Pid | null, options?: CallOptions): Promise<void> {
    const args = { pid: pid === null ? 0n : readId("pid", pid) };
    await request(this.#session, { name: "ctxGive", handle: this.#handle, args }, options);
    this.#closed = true;
  }

  /** The context as a file: `os.ctx.restore()` makes it again, here or on another machine. */
  async snapshot(options?: CallOptions): Promise<Uint8Array> {
    const call = { name: "ctxSnapshot" as const, handle: this.#handle, args: { cid: 0n } };
    return (await request(this.#session, call, options)).snapshot;
  }

  /** Gives it back. Closing twice is fine. */
  async close(options?: CallOptions): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const handle = this.#handle;
    try {
      if (this.#borrowed) {
        await request(this.#session, { name: "capClose", handle, args: {} }, options);
      } else {
        await request(this.#session, { name: "ctxClose", handle, args: { cid: 0n } }, options);
      }
    } catch (error) {
      // A lost process has no contexts any more: that is what was asked for.
      if (!(error instanceof ConnectionError)) throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The options of the wire. */
export function toOptions({ ttlMs, share }: ContextOptions): { ttlUs: bigint; share: string } {
  return { ttlUs: toTtl(ttlMs), share: checkText("share", share ?? "") };
}

/** The time to live of the wire. */
export function toTtl(ttlMs = 0): bigint {
  return toMicroseconds("ttlMs", ttlMs);
}

function toMicroseconds(argument: string, ms: number): bigint {
  const us = checkNumber(argument, ms) * 1000;
  if (us < 0 || us > Number.MAX_SAFE_INTEGER) {
    throw new RangeError(`${argument}: expected 0 or more milliseconds, got ${ms}`);
  }
  return BigInt(Math.round(us));
}

function toInput(input: string | Message | readonly Message[] | Tokens): CtxAppendCall["input"] {
  if (typeof input === "string") return { $case: "text", value: checkText("input", input) };
  return isTokens(input) ? toTokens(input) : toChat(input);
}

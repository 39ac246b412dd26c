/** Contexts: token sequences that live on between calls. */
import type { CtxAppendCall, CtxCreateResult } from "../proto/gen/contix/v1/calls.js";
import { checkText } from "./check.js";
import { ConnectionError } from "./errors.js";
import type { Generation } from "./generation.js";
import { type Cid, showId } from "./ids.js";
import { type CallOptions, request } from "./invoke.js";
import { type GenerateOptions, generation } from "./llm.js";
import { type Chat, isTokens, type Message, type Tokens, toChat, toTokens } from "./messages.js";
import type { Session } from "./wire/session.js";

/** Where a context stands. */
export interface ContextStat {
  readonly cid: Cid;
  /** Tokens in the context: the given and the generated ones. */
  readonly length: number;
  readonly given: number;
  readonly generated: number;
  /** Tokens whose KV is in a slot. */
  readonly resident: number;
  /** The slot it runs in, or null. */
  readonly slot: number | null;
  /** The most tokens it can hold. */
  readonly window: number;
  /** The model that it belongs to. */
  readonly model: string;
}

/** `os.ctx` */
export class Contexts {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Opens an empty context of a model, the daemon's default or another. It ends with `close()`, or with the process. */
  async create(
    options: CallOptions & { readonly model?: string | undefined } = {},
  ): Promise<Context> {
    const args = { model: checkText("model", options.model ?? "") };
    const made = await request(this.#session, { name: "ctxCreate", args }, options);
    return new Context(this.#session, made);
  }
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
  #closed = false;
  readonly cid: Cid;
  /** The most tokens it can hold. */
  readonly window: number;
  /** The model that it belongs to, for good. */
  readonly model: string;

  /** Made by `os.ctx.create()`. */
  constructor(session: Session, made: CtxCreateResult) {
    this.#session = session;
    this.#handle = made.handle;
    this.cid = showId(made.cid);
    this.window = made.window;
    this.model = made.model;
  }

  /**
   * Adds text, turns of a conversation, or tokens at the end. Says how many
   * tokens that were, and how many the context has now.
   */
  async append(
    input: string | Message | readonly Message[] | Tokens,
    options?: CallOptions,
  ): Promise<{ appended: number; length: number }> {
    const args = { input: toInput(input) };
    return request(this.#session, { name: "ctxAppend", handle: this.#handle, args }, options);
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
    const stat = await request(
      this.#session,
      { name: "ctxStat", handle: this.#handle, args: {} },
      options,
    );
    return { ...stat, cid: showId(stat.cid), slot: stat.slot < 0 ? null : stat.slot };
  }

  /** Gives it back. Closing twice is fine. */
  async close(options?: CallOptions): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await request(this.#session, { name: "ctxClose", handle: this.#handle, args: {} }, options);
    } catch (error) {
      // A lost process has no contexts any more: that is what was asked for.
      if (!(error instanceof ConnectionError)) throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function toInput(input: string | Message | readonly Message[] | Tokens): CtxAppendCall["input"] {
  if (typeof input === "string") return { $case: "text", value: checkText("input", input) };
  return isTokens(input) ? toTokens(input) : toChat(input);
}

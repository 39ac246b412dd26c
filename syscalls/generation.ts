/**
 * A generation under way: text to iterate over, a result to await, or both.
 *
 * How it is used decides how it is asked for: awaited, the kernel sends one
 * reply; iterated, it sends chunks. The call starts with the first use, or at
 * the end of this turn of the event loop, so that several generations made
 * together run together whatever the order in which they are awaited.
 */
import { Chunks } from "./chunks.js";
import { type CallOptions, onAbort } from "./invoke.js";
import type { ContextEdit } from "./overflow.js";
import type { Usage } from "./usage.js";

/** What a generation ends with. */
export interface GenerateResult {
  readonly text: string;
  readonly tokens: readonly number[];
  /** Why it ended: the model's own end, a stop string, or the limit of tokens. */
  readonly finish: "eos" | "stop" | "length";
  /**
   * The seed that was used: the same seed, prompt and options give the same text. A
   * decimal string, as ids are: a double would round it, and JSON knows no bigint.
   */
  readonly seed: string;
  /** The stop string that matched; "" when none did. */
  readonly stop: string;
  /** What was moved out of the context to make room; undefined: nothing. */
  readonly edit: ContextEdit | undefined;
  readonly usage: Usage;
}

/** How a generation asks the kernel. */
export type Ask = (how: {
  readonly stream: boolean;
  readonly signal: AbortSignal;
  readonly onChunk: (text: string) => void;
  /** Hands over the means to grant credit, for each try. */
  readonly onStart: (grant: (chunks: number) => void) => void;
}) => Promise<GenerateResult>;

/**
 * Iterate over it for the text as it comes, await it for the result; leaving
 * the loop early cancels the call. Errors come to whoever iterates or awaits,
 * and to nobody else.
 *
 * @example
 * const answer = os.llm.chat("Why is the sky blue?");
 * for await (const text of answer) process.stdout.write(text);
 * const { usage } = await answer;
 */
export class Generation implements AsyncIterable<string>, PromiseLike<GenerateResult> {
  readonly #ask: Ask;
  readonly #cancel = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #chunks: Chunks;
  readonly #unused: NodeJS.Immediate;
  #grant: (chunks: number) => void = () => undefined;
  #result: Promise<GenerateResult> | undefined;
  #awaited = false;

  constructor(ask: Ask, options: CallOptions) {
    this.#ask = ask;
    this.#signal = options.signal;
    this.#chunks = new Chunks((chunks) => this.#grant(chunks));
    this.#unused = setImmediate(() => this.#start(true));
  }

  // biome-ignore lint/suspicious/noThenProperty: awaiting a generation is what it is for
  then<A = GenerateResult, B = never>(
    onResult?: ((result: GenerateResult) => A | PromiseLike<A>) | null,
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    const result = this.#start(false);
    this.#awaited = true;
    // Whoever awaits the result wants all of it, though nobody may read the text.
    this.#chunks.pace(false);
    return result.then(onResult, onError);
  }

  /** As of a promise. */
  catch<B = never>(
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<GenerateResult | B> {
    return this.then(null, onError);
  }

  /** As of a promise. */
  finally(onEnd?: (() => void) | null): Promise<GenerateResult> {
    return this.then().finally(onEnd);
  }

  /** The text as it comes. There is one stream: a second loop goes on where the first is. */
  [Symbol.asyncIterator](): AsyncIterableIterator<string> {
    const result = this.#start(true);
    this.#chunks.pace(!this.#awaited);
    const iterator: AsyncIterableIterator<string> = {
      next: async () => {
        const value = await this.#chunks.next();
        return value === undefined ? { value, done: true } : { value, done: false };
      },
      return: async () => {
        this.#cancel.abort();
        await result.catch(() => undefined);
        this.#chunks.close();
        return { value: undefined, done: true };
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  #start(stream: boolean): Promise<GenerateResult> {
    if (this.#result !== undefined) return this.#result;
    clearImmediate(this.#unused);
    const abort = (reason: unknown): void => {
      this.#chunks.mute();
      this.#cancel.abort(reason);
    };
    if (this.#signal?.aborted) abort(this.#signal.reason);
    const forget = onAbort(this.#signal, abort);
    const result = this.#ask({
      stream,
      signal: this.#cancel.signal,
      onChunk: (text) => this.#chunks.push(text),
      onStart: (grant) => {
        this.#grant = grant;
      },
    }).finally(forget);
    this.#result = result;
    // Both handlers stand, so a generation that nobody awaits is no unhandled rejection.
    result.then(
      ({ text }) => this.#finish(stream ? "" : text),
      (error: unknown) => this.#chunks.end({ error }),
    );
    return result;
  }

  #finish(unread: string): void {
    this.#chunks.push(unread);
    if (this.#signal?.aborted) this.#chunks.end({ error: this.#signal.reason });
    else this.#chunks.end();
  }
}

/**
 * A generation under way: text to iterate over, a result to await, or both.
 *
 * How it is used decides how it is asked for: awaited, the kernel sends one
 * reply; iterated, it sends chunks. The call starts with the first use, or at
 * the end of this turn of the event loop, so that several generations made
 * together run together whatever the order in which they are awaited.
 */
import { Chunks, type Piece } from "./chunks.js";
import { type CallOptions, onAbort } from "./invoke.js";
import type { TokenLogprob } from "./logprobs.js";
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
  /** Of each of `tokens`; undefined when the options did not ask for them. */
  readonly logprobs: readonly TokenLogprob[] | undefined;
  /** What was moved out of the context to make room; undefined: nothing. */
  readonly edit: ContextEdit | undefined;
  readonly usage: Usage;
}

/** How a generation asks the kernel. */
export type Ask = (how: {
  readonly stream: boolean;
  readonly signal: AbortSignal;
  readonly onChunk: (text: string, logprobs?: readonly TokenLogprob[]) => void;
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
  /** Log probabilities that came with chunks. */
  #told = 0;

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
    return this.#read(({ text }) => (text === "" ? undefined : text));
  }

  /**
   * The same stream with the log probabilities of its tokens, for options that ask for
   * them. The last piece may have no text.
   */
  pieces(): AsyncIterableIterator<Piece> {
    return this.#read((piece) => piece);
  }

  /** What `show` makes of each piece, but for those that it leaves out. */
  #read<T>(show: (piece: Piece) => T | undefined): AsyncIterableIterator<T> {
    const result = this.#start(true);
    this.#chunks.pace(!this.#awaited);
    const iterator: AsyncIterableIterator<T> = {
      next: async () => {
        for (;;) {
          const piece = await this.#chunks.next();
          if (piece === undefined) return { value: undefined, done: true };
          const value = show(piece);
          if (value !== undefined) return { value, done: false };
        }
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
      onChunk: (text, logprobs) => {
        this.#told += logprobs?.length ?? 0;
        this.#chunks.push(text, logprobs);
      },
      onStart: (grant) => {
        this.#grant = grant;
      },
    }).finally(forget);
    this.#result = result;
    // Both handlers stand, so a generation that nobody awaits is no unhandled rejection.
    result.then(
      ({ text, logprobs }) => this.#finish(stream ? "" : text, logprobs?.slice(this.#told)),
      (error: unknown) => this.#chunks.end({ error }),
    );
    return result;
  }

  /** The rest: all that was not streamed; of a stream, tokens that gave no text. */
  #finish(unread: string, untold?: readonly TokenLogprob[]): void {
    this.#chunks.push(unread, untold);
    if (this.#signal?.aborted) this.#chunks.end({ error: this.#signal.reason });
    else this.#chunks.end();
  }
}

/**
 * The text of a stream between the wire and its reader. The kernel may send as
 * many chunks as it has credit for; credit returns as chunks are read, half of
 * it at a time. So a reader that stops pauses its own call and no other.
 */

import type { TokenLogprob } from "./logprobs.js";

/** Chunks the kernel may be ahead of the reader. Where many read, each chunk is several tokens. */
export const CREDIT = 16;

const NONE: readonly TokenLogprob[] = [];

/** What came together of a stream. */
export interface Piece {
  readonly text: string;
  /** Of the tokens that came with it, when they were asked for. */
  readonly logprobs: readonly TokenLogprob[];
}

export class Chunks {
  readonly #pieces: Piece[] = [];
  readonly #grant: (chunks: number) => void;
  #granted = CREDIT;
  #arrived = 0;
  #read = 0;
  #atOwnPace = false;
  #muted = false;
  #end: { readonly error?: unknown } | undefined;
  #wake: (() => void) | undefined;
  #woken: Promise<void> | undefined;

  constructor(grant: (chunks: number) => void) {
    this.#grant = grant;
  }

  push(text: string, logprobs = NONE): void {
    if (this.#end !== undefined || this.#muted) return;
    this.#pieces.push({ text, logprobs });
    this.#arrived += 1;
    this.#topUp();
    this.#notify();
  }

  /** Holds the kernel to the reader's pace; or lets everything come, whether read or not. */
  pace(own: boolean): void {
    this.#atOwnPace = own;
    this.#topUp();
  }

  /** No more will come; the reader gets what is left, then the error if there is one. */
  end(failure: { readonly error?: unknown } = {}): void {
    this.#end ??= failure;
    this.#notify();
  }

  /** No text is wanted any more; the end is. */
  mute(): void {
    this.#muted = true;
    this.#pieces.length = 0;
  }

  /** The reader has left. */
  close(): void {
    this.mute();
    this.#end = {};
    this.#notify();
  }

  /** The next piece that has anything; undefined at the end; rejects, once, with the error. */
  async next(): Promise<Piece | undefined> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        this.#read += 1;
        this.#topUp();
        if (piece.text !== "" || piece.logprobs.length > 0) return piece;
      } else if (this.#end !== undefined) {
        const failure = this.#end;
        this.#end = {};
        if ("error" in failure) throw failure.error;
        return undefined;
      } else {
        await this.#more();
      }
    }
  }

  #topUp(): void {
    const used = this.#atOwnPace ? this.#read : this.#arrived;
    const chunks = used + CREDIT - this.#granted;
    if (chunks < CREDIT / 2 || this.#end !== undefined) return;
    this.#granted += chunks;
    this.#grant(chunks);
  }

  #more(): Promise<void> {
    this.#woken ??= new Promise((wake) => {
      this.#wake = wake;
    });
    return this.#woken;
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
    this.#woken = undefined;
  }
}

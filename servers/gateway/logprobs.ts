/**
 * Log probabilities as OpenAI's API says them. They are those of the text: a token is told
 * with the text that begins in it, and one that has no part in the text (the model's end,
 * what a stop string cut off) is not told.
 */
import type { LikelyToken, Piece, TokenLogprob } from "../../syscalls/index.js";

/** A token, and where its text begins in the answer, characters. */
interface Placed {
  readonly entry: TokenLogprob;
  readonly offset: number;
}

/** How placed tokens are said. */
export type LogprobsShape = (placed: readonly Placed[]) => object;

/** Those of one answer, as its text comes. */
export class TextLogprobs {
  readonly #shape: LogprobsShape;
  /** As the answer's own text is decoded: a character may be spread over several tokens. */
  readonly #utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  /** Tokens whose text has not come. */
  #waiting: Placed[] = [];
  /** Characters that the tokens so far make, and those that have come. */
  #made = 0;
  #come = 0;

  constructor(shape: LogprobsShape) {
    this.#shape = shape;
  }

  /** What is told with this piece of the text. */
  of({ text, logprobs }: Piece): object {
    for (const entry of logprobs) {
      this.#waiting.push({ entry, offset: this.#made });
      const bytes = Uint8Array.from(entry.bytes);
      this.#made += characters(this.#utf8.decode(bytes, { stream: true }));
    }
    this.#come += characters(text);
    const later = this.#waiting.findIndex(({ offset }) => offset >= this.#come);
    const due = this.#waiting.splice(0, later === -1 ? this.#waiting.length : later);
    return this.#shape(due);
  }
}

/** As other languages count them: code points. */
function characters(text: string): number {
  return [...text].length;
}

/** Of chat completions. */
export const CHAT_LOGPROBS: LogprobsShape = (placed) => ({
  content: placed.map(({ entry }) => ({
    ...likely(entry),
    top_logprobs: entry.top.map(likely),
  })),
  refusal: null,
});

function likely({ text, logprob, bytes }: LikelyToken): object {
  return { token: text, logprob, bytes: bytes.length === 0 ? null : bytes };
}

/** Of text completions: the token itself is always among its likeliest, as there. */
export const COMPLETION_LOGPROBS: LogprobsShape = (placed) => ({
  tokens: placed.map(({ entry }) => named(entry)),
  token_logprobs: placed.map(({ entry }) => entry.logprob),
  top_logprobs: placed.map(({ entry }) =>
    Object.fromEntries([...entry.top, entry].map((one) => [named(one), one.logprob])),
  ),
  text_offset: placed.map(({ offset }) => offset),
});

/** A part of a character is named by its bytes, as OpenAI does: as text all parts look alike. */
function named({ text, bytes }: LikelyToken): string {
  if (bytes.length === 0 || isText(bytes)) return text;
  const hex = bytes.map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`);
  return `bytes:${hex.join("")}`;
}

function isText(bytes: readonly number[]): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes));
    return true;
  } catch {
    return false;
  }
}

/** Cuts whole tokens (special and added ones) out of text. */

import { Trie } from "./trie.js";
import type { AddedToken } from "./vocabulary.js";

const WORD_BEFORE = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD_AFTER = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const SPACE = /\p{White_Space}/u;

export class Segmenter {
  readonly #tokens: readonly AddedToken[];
  /** From content to index in #tokens. */
  readonly #trie: Trie;

  constructor(tokens: readonly AddedToken[]) {
    this.#tokens = tokens;
    this.#trie = new Trie(tokens.map(({ content }, i) => [content, i]));
  }

  /** In order: ids of the tokens, and the text between them. The longest token wins. */
  cut(text: string): (string | number)[] {
    if (this.#tokens.length === 0) return text === "" ? [] : [text];
    const segments: (string | number)[] = [];
    let done = 0;
    for (let at = 0; at < text.length; ) {
      const match = this.#trie.longest(text, at);
      const token = match && this.#tokens[match.value];
      if (!match || !token) {
        at++;
        continue;
      }
      const from = Math.max(done, token.lstrip ? spaceBefore(text, at) : at);
      at = match.end;
      if (token.singleWord && !standsAlone(text, at - token.content.length, at)) continue;
      if (from > done) segments.push(text.slice(done, from));
      segments.push(token.id);
      // A token that is white space is found there all the same.
      done = token.rstrip ? spaceAfter(text, at) : at;
    }
    if (done < text.length) segments.push(text.slice(done));
    return segments;
  }
}

function standsAlone(text: string, start: number, end: number): boolean {
  // Two units are enough for the character that stands beside.
  const before = text.slice(Math.max(0, start - 2), start);
  return !WORD_BEFORE.test(before) && !WORD_AFTER.test(text.slice(end, end + 2));
}

/** Where the white space that ends at `end` begins. */
function spaceBefore(text: string, end: number): number {
  let start = end;
  while (start > 0 && SPACE.test(text.charAt(start - 1))) start--;
  return start;
}

/** Where the white space that begins at `start` ends. */
function spaceAfter(text: string, start: number): number {
  let end = start;
  while (end < text.length && SPACE.test(text.charAt(end))) end++;
  return end;
}

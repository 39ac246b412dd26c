/**
 * Keeps content from saying special tokens. A template writes them beside the content, so
 * in the rendered text nobody could tell which is whose. Before rendering we therefore
 * break every special token in the content with a sentinel, a character that occurs
 * nowhere else; the tokenizer then cuts out the template's own and drops the sentinel.
 */
import { ContixError } from "../../../proto/errno.js";
import { Trie } from "./trie.js";

/** Characters for private use: no text means anything by them. */
const FIRST_SENTINEL = 0xe000;
const LAST_SENTINEL = 0xf8ff;

/** A character that is in none of `texts`. */
export function chooseSentinel(texts: readonly string[]): string {
  for (let code = FIRST_SENTINEL; code <= LAST_SENTINEL; code++) {
    const sentinel = String.fromCharCode(code);
    if (!texts.some((text) => text.includes(sentinel))) return sentinel;
  }
  throw new ContixError("EINVAL", "the messages use every character for private use", {
    argument: "messages",
  });
}

export class Shield {
  /** Special tokens of one character. */
  readonly #single: readonly string[];
  readonly #trie: Trie;
  /** The proper beginnings and ends of special tokens, and the length of the longest. */
  readonly #beginnings = new Set<string>();
  readonly #ends = new Set<string>();
  readonly #longest: number;

  /** `special`: the special tokens as they are written. */
  constructor(special: readonly string[]) {
    this.#single = special.filter((token) => [...token].length === 1);
    this.#trie = new Trie(special.map((token, i) => [token, i]));
    this.#longest = special.reduce((most, { length }) => Math.max(most, length), 0);
    for (const token of special) {
      for (let i = 1; i < token.length; i++) {
        this.#beginnings.add(token.slice(0, i));
        this.#ends.add(token.slice(i));
      }
    }
  }

  /**
   * `content` with `sentinel` within each special token, and where the content could be
   * half of one whose other half stands beside it.
   * @throws ContixError EINVAL for a special token of one character, which has no within
   */
  cover(content: string, sentinel: string): string {
    const single = this.#single.find((token) => content.includes(token));
    if (single !== undefined) {
      throw new ContixError("EINVAL", `content must not contain "${single}", a special token`, {
        argument: "content",
      });
    }
    const covered = this.#broken(content, sentinel);
    // Templates may trim content, so its edges are where its text begins and ends.
    const text = covered.trim();
    if (text === "") return covered;
    const lengths = Array.from({ length: Math.min(this.#longest, text.length) }, (_, i) => i + 1);
    const before = lengths.some((length) => this.#ends.has(text.slice(0, length)));
    const after = lengths.some((length) => this.#beginnings.has(text.slice(-length)));
    const at = covered.indexOf(text);
    const edged = `${before ? sentinel : ""}${text}${after ? sentinel : ""}`;
    return covered.slice(0, at) + edged + covered.slice(at + text.length);
  }

  /** `content` with `sentinel` after the first character of each special token, overlapping ones too. */
  #broken(content: string, sentinel: string): string {
    let covered = "";
    let done = 0;
    for (let at = 0; at < content.length; at++) {
      if (this.#trie.longest(content, at) === undefined) continue;
      const first = content.codePointAt(at) ?? 0;
      const after = at + (first > 0xffff ? 2 : 1);
      covered += content.slice(done, after) + sentinel;
      done = after;
    }
    return covered + content.slice(done);
  }
}

/**
 * Keeps content from saying special tokens. A template writes them beside the content, so
 * in the rendered text nobody could tell which is whose. Before rendering we therefore
 * break every special token in the content with a sentinel, a character that occurs
 * nowhere else; the tokenizer then cuts out the template's own and drops the sentinel.
 */
import { ContixError } from "../../../proto/errno.js";
import { escapePattern } from "./segmenter.js";

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
  readonly #special: readonly string[];
  /** Matches the first character of each special token, overlapping ones too. */
  readonly #first: RegExp | undefined;

  /** `special`: the special tokens as they are written. */
  constructor(special: readonly string[]) {
    this.#special = special;
    const any = special.map(escapePattern).join("|");
    this.#first = special.length > 0 ? new RegExp(`(?=${any})[^]`, "gu") : undefined;
  }

  /**
   * `content` with `sentinel` within each special token, and where the content could be
   * half of one whose other half stands beside it.
   * @throws ContixError EINVAL for a special token of one character, which has no within
   */
  cover(content: string, sentinel: string): string {
    if (this.#first === undefined) return content;
    const single = this.#special.find((s) => [...s].length === 1 && content.includes(s));
    if (single !== undefined) {
      throw new ContixError("EINVAL", `content must not contain "${single}", a special token`, {
        argument: "content",
      });
    }
    const covered = content.replace(this.#first, `$&${sentinel}`);
    // Templates may trim content, so its edges are where its text begins and ends.
    const text = covered.trim();
    if (text === "") return covered;
    const before = this.#special.some((s) => endsOf(s).some((end) => text.startsWith(end)));
    const after = this.#special.some((s) => beginningsOf(s).some((b) => text.endsWith(b)));
    const at = covered.indexOf(text);
    const edged = `${before ? sentinel : ""}${text}${after ? sentinel : ""}`;
    return covered.slice(0, at) + edged + covered.slice(at + text.length);
  }
}

/** The proper suffixes of a special token. */
const endsOf = (token: string): string[] =>
  Array.from({ length: token.length - 1 }, (_, i) => token.slice(i + 1));

/** The proper prefixes of a special token. */
const beginningsOf = (token: string): string[] =>
  Array.from({ length: token.length - 1 }, (_, i) => token.slice(0, i + 1));

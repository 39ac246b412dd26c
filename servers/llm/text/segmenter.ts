/** Cuts whole tokens (special and added ones) out of text. */
import type { AddedToken } from "./vocabulary.js";

export class Segmenter {
  readonly #pattern: RegExp | undefined;
  readonly #ids: ReadonlyMap<string, number>;

  constructor(tokens: readonly AddedToken[]) {
    this.#ids = new Map(tokens.map(({ content, id }) => [content, id]));
    this.#pattern = alternation(tokens.map(({ content }) => content));
  }

  /** In order: ids of the tokens, and the text between them. The longest token wins. */
  cut(text: string): (string | number)[] {
    if (this.#pattern === undefined) return text === "" ? [] : [text];
    return text
      .split(this.#pattern)
      .filter((part) => part !== "")
      .map((part) => this.#ids.get(part) ?? part);
  }
}

/** A pattern with one group that matches any of `contents`, longer ones first. */
function alternation(contents: readonly string[]): RegExp | undefined {
  if (contents.length === 0) return undefined;
  const sorted = [...contents].sort((a, b) => b.length - a.length);
  return new RegExp(`(${sorted.map(escapePattern).join("|")})`);
}

/** `text` as a regular expression that matches it literally. */
export function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

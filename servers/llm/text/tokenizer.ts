/**
 * Text to tokens: special and added tokens are cut out first, what is between them is
 * normalized and cut into pieces, and each piece is encoded by itself. Pieces repeat (a
 * text of English words has few different ones), so their tokens are kept.
 */
import type { Place } from "./place.js";
import { Segmenter } from "./segmenter.js";
import type { Vocabulary } from "./vocabulary.js";

export interface EncodeOptions {
  /** Recognize special tokens in the text; otherwise their names are text as any other. */
  readonly special: boolean;
  /** A character that is no text: it keeps apart what would else be a special token. */
  readonly sentinel?: string;
  /** Where the text begins; by default nothing is before it. */
  readonly place?: Place;
}

/** Longer pieces are rare, and not worth keeping. */
const KEPT_PIECE = 48;
const KEPT_PIECES = 30_000;

export class Tokenizer {
  readonly #vocabulary: Vocabulary;
  readonly #withSpecial: Segmenter;
  readonly #withoutSpecial: Segmenter;
  /** Finds added tokens in normalized text. */
  readonly #normalized: Segmenter;
  readonly #addedIds: ReadonlySet<number>;
  readonly #pieces = new Map<string, readonly number[]>();

  constructor(vocabulary: Vocabulary) {
    const { added, normalize } = vocabulary;
    this.#vocabulary = vocabulary;
    // Special tokens are never looked for in normalized text, where content could say them.
    const early = added.filter(({ special, normalized }) => special || !normalized);
    const late = added.filter(({ special, normalized }) => !special && normalized);
    this.#withSpecial = new Segmenter(early);
    this.#withoutSpecial = new Segmenter(early.filter(({ special }) => !special));
    this.#normalized = new Segmenter(
      late
        .map((token) => ({ ...token, content: normalize(token.content, "start") }))
        .filter(({ content }) => content !== ""),
    );
    this.#addedIds = new Set(added.map(({ id }) => id));
  }

  /**
   * The tokens of `text`. In a byte-level vocabulary, a character that it has no bytes for
   * (some control characters, planes without characters) becomes U+FFFD; so does half of a
   * surrogate pair in any.
   */
  encode(text: string, { special, sentinel, place = "start" }: EncodeOptions): number[] {
    const segmenter = special ? this.#withSpecial : this.#withoutSpecial;
    const tokens: number[] = [];
    let at = place;
    for (const segment of segmenter.cut(wellFormed(text))) {
      if (typeof segment === "number") tokens.push(segment);
      else this.#ordinary(sentinel ? segment.replaceAll(sentinel, "") : segment, at, tokens);
      at = "section";
    }
    return tokens;
  }

  /** The tokens of `text` with those that the tokenizer puts around a whole text. */
  encodeWhole(text: string): number[] {
    const { prefix, suffix } = this.#vocabulary;
    return [...prefix, ...this.encode(text, { special: false }), ...suffix];
  }

  /** Where a text that follows `tokens` begins. */
  placeAfter(tokens: readonly number[]): Place {
    const last = tokens.at(-1);
    if (last === undefined) return "start";
    return this.#addedIds.has(last) ? "section" : "text";
  }

  #ordinary(text: string, place: Place, tokens: number[]): void {
    if (text === "") return;
    let at = place;
    for (const segment of this.#normalized.cut(this.#vocabulary.normalize(text, place))) {
      if (typeof segment === "number") tokens.push(segment);
      else {
        for (const piece of this.#vocabulary.split(segment, at)) {
          for (const token of this.#piece(piece)) tokens.push(token);
        }
      }
      at = "section";
    }
  }

  #piece(piece: string): readonly number[] {
    const kept = this.#pieces.get(piece);
    if (kept !== undefined) return kept;
    const tokens = this.#vocabulary.model.encode(piece);
    if (piece.length <= KEPT_PIECE) {
      if (this.#pieces.size >= KEPT_PIECES) this.#pieces.clear();
      this.#pieces.set(piece, tokens);
    }
    return tokens;
  }
}

/** `text` with U+FFFD for each half of a surrogate pair that lost the other. */
function wellFormed(text: string): string {
  return text.replace(/\p{Cs}/gu, "\ufffd");
}

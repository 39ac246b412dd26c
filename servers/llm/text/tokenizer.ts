/**
 * Text to tokens: special and added tokens are cut out first, what is between them is cut
 * into pieces by the model's expressions, and each piece is encoded by itself. Pieces
 * repeat (a text of English words has few different ones), so their tokens are kept.
 *
 * The expressions are Oniguruma's, translated by @huggingface/tokenizers: `\s` there is
 * not JavaScript's. The merging is our own (bpe.ts): the library's takes 10 times as long.
 */
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { bpe } from "./bpe.js";
import { Segmenter } from "./segmenter.js";
import { inAlphabet, REPLACEMENT, type Vocabulary } from "./vocabulary.js";

export interface EncodeOptions {
  /** Recognize special tokens in the text; otherwise their names are text as any other. */
  readonly special: boolean;
  /** A character that is no text: it keeps apart what would else be a special token. */
  readonly sentinel?: string;
}

/** Longer pieces are rare, and not worth keeping. */
const KEPT_PIECE = 48;
const KEPT_PIECES = 30_000;

const utf8 = new TextEncoder();

export class Tokenizer {
  readonly #vocabulary: Vocabulary;
  readonly #splitter: Splitter;
  readonly #withSpecial: Segmenter;
  readonly #withoutSpecial: Segmenter;
  readonly #pieces = new Map<string, readonly number[]>();

  constructor(vocabulary: Vocabulary) {
    const { added, splits } = vocabulary;
    this.#vocabulary = vocabulary;
    this.#splitter = splitter(splits);
    this.#withSpecial = new Segmenter(added);
    this.#withoutSpecial = new Segmenter(added.filter(({ special }) => !special));
  }

  /**
   * The tokens of `text`. A character that the vocabulary has no bytes for (some control
   * characters, planes without characters) becomes U+FFFD.
   */
  encode(text: string, { special, sentinel }: EncodeOptions): number[] {
    const segmenter = special ? this.#withSpecial : this.#withoutSpecial;
    const tokens: number[] = [];
    for (const segment of segmenter.cut(text)) {
      if (typeof segment === "number") tokens.push(segment);
      else this.#ordinary(sentinel ? segment.replaceAll(sentinel, "") : segment, tokens);
    }
    return tokens;
  }

  #ordinary(text: string, tokens: number[]): void {
    for (const piece of this.#splitter.pre_tokenize(text)) {
      for (const token of this.#piece(piece)) tokens.push(token);
    }
  }

  #piece(piece: string): readonly number[] {
    const kept = this.#pieces.get(piece);
    if (kept !== undefined) return kept;
    const tokens = this.#encodePiece(piece);
    if (piece.length <= KEPT_PIECE) {
      if (this.#pieces.size >= KEPT_PIECES) this.#pieces.clear();
      this.#pieces.set(piece, tokens);
    }
    return tokens;
  }

  #encodePiece(piece: string): readonly number[] {
    const { merges, whole } = this.#vocabulary;
    let bytes = utf8.encode(piece);
    if (bytes.some((byte) => merges.byteTokens[byte] === -1)) bytes = this.#replaced(piece);
    const token = whole?.get(inAlphabet(bytes));
    return token === undefined ? bpe(merges, bytes) : [token];
  }

  /** The bytes of `piece` with U+FFFD for each character that has a byte without a token. */
  #replaced(piece: string): Uint8Array<ArrayBuffer> {
    const { byteTokens } = this.#vocabulary.merges;
    return Uint8Array.from(
      Array.from(piece).flatMap((char) => {
        const bytes = utf8.encode(char);
        return bytes.every((byte) => byteTokens[byte] !== -1) ? [...bytes] : REPLACEMENT;
      }),
    );
  }
}

/** What we use of the library. */
interface Splitter {
  pre_tokenize(text: string): string[];
}

/** Cuts text by each expression after the other, each match a piece. */
function splitter(expressions: readonly string[]): Splitter {
  const pretokenizers = expressions.map((Regex) => ({
    type: "Split",
    pattern: { Regex },
    behavior: "Isolated",
    invert: false,
  }));
  const library = new Library(
    {
      model: { type: "BPE", vocab: {}, merges: [] },
      pre_tokenizer: { type: "Sequence", pretokenizers },
      added_tokens: [],
      normalizer: null,
      post_processor: null,
      decoder: null,
    },
    {},
  );
  return library.pre_tokenizer as Splitter;
}

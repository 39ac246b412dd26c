/**
 * Tokens to text, one by one. A character may be spread over several tokens, and a token
 * may hold pieces of two: text comes out when its characters are whole.
 */
import { type Piece, pieceOf, type TokenBytes } from "./token-bytes.js";

/** Streaming detokenization of one generation. */
export interface Detokenizer {
  /** The characters that `token` completed. A special or unknown token gives none. */
  push(token: number): string;
  /** What is left at the end: U+FFFD for the beginning of a character that never came. */
  flush(): string;
  /** What a token is by itself, whatever was pushed. */
  piece(token: number): Piece;
}

/** For byte-level vocabularies, whose text is UTF-8. */
export class ByteDetokenizer implements Detokenizer {
  readonly #table: TokenBytes;
  /** Bytes that can begin no character become U+FFFD; bytes that still may are kept back. */
  readonly #utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(table: TokenBytes) {
    this.#table = table;
  }

  push(token: number): string {
    const { bytes, offsets } = this.#table;
    const begin = offsets[token];
    const end = offsets[token + 1];
    if (begin === undefined || end === undefined || begin === end) return "";
    return this.#utf8.decode(bytes.subarray(begin, end), { stream: true });
  }

  flush(): string {
    return this.#utf8.decode();
  }

  piece(token: number): Piece {
    return pieceOf(this.#table, token);
  }
}

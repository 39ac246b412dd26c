/** The `model` of a `tokenizer.json`: a piece of text to tokens. One file each kind. */

export interface PieceModel {
  /** The tokens of a piece that is not empty, in well-formed Unicode. */
  encode(piece: string): readonly number[];
  /** Every piece that is a token, and its id; no special token is among them. */
  readonly ids: ReadonlyMap<string, number>;
  /**
   * Pieces may be cut before each "▁" that follows another character: no token has one
   * inside, so nothing joins across, and short pieces repeat.
   */
  readonly cutsAtSpace: boolean;
}

/** What every kind of model needs to know of the rest of the tokenizer. */
export interface ModelContext {
  /** Contents of special tokens: no text may become one. */
  readonly special: ReadonlySet<string>;
  /** Pieces are encoded as bytes, not as characters. */
  readonly byteLevel: boolean;
}

/** What stands for a space inside tokens. */
export const SPACE = "▁";

const INNER_SPACE = /[^▁]▁/u;

/** Whether no token of `ids` has a "▁" after another character. */
export function cutsAtSpace(ids: ReadonlyMap<string, number>): boolean {
  if (!ids.has(SPACE)) return false;
  for (const token of ids.keys()) if (INNER_SPACE.test(token)) return false;
  return true;
}

/** The tokens "<0x00>" to "<0xFF>" by byte; NONE where the vocabulary has no such token. */
export function byteTokens(ids: ReadonlyMap<string, number>): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => ids.get(byteName(byte)) ?? -1);
}

/** How vocabularies with byte fallback name a byte. */
export function byteName(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

const BYTE_NAME = /^<0x([0-9A-F]{2})>$/;

/** The byte that `token` is the name of. */
export function byteOfName(token: string): number | undefined {
  const digits = BYTE_NAME.exec(token)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}

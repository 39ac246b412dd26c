/** The bytes that each token of a vocabulary stands for, in two flat arrays. */
export interface TokenBytes {
  /** The bytes of all tokens, one after the other. */
  readonly bytes: Uint8Array;
  /** Token t is bytes [offsets[t], offsets[t + 1]); a special token has none. */
  readonly offsets: Uint32Array;
  /** The names of special tokens, by id. */
  readonly special: ReadonlyMap<number, string>;
}

/** What one token is, by itself. */
export interface Piece {
  /** What it stands for; a special token and one that is none have none. */
  readonly bytes: Buffer;
  /** A special token's name, else "". */
  readonly special: string;
}

/** `tokens`: the bytes of each token by id; `special`: the names of those that are no text. */
export function packTokenBytes(
  tokens: readonly Uint8Array[],
  special: ReadonlyMap<number, string> = new Map(),
): TokenBytes {
  const offsets = new Uint32Array(tokens.length + 1);
  tokens.forEach((token, id) => {
    offsets[id + 1] = (offsets[id] ?? 0) + token.length;
  });
  const bytes = new Uint8Array(offsets[tokens.length] ?? 0);
  tokens.forEach((token, id) => {
    bytes.set(token, offsets[id]);
  });
  return { bytes, offsets, special };
}

/** What `token` is by itself. The bytes are the table's own. */
export function pieceOf({ bytes, offsets, special }: TokenBytes, token: number): Piece {
  const begin = offsets[token] ?? 0;
  const end = offsets[token + 1] ?? begin;
  const own = Buffer.from(bytes.buffer, bytes.byteOffset + begin, end - begin);
  return { bytes: own, special: special.get(token) ?? "" };
}

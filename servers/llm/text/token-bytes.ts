/** The bytes that each token of a byte-level vocabulary stands for, in two flat arrays. */
export interface TokenBytes {
  /** The bytes of all tokens, one after the other. */
  readonly bytes: Uint8Array;
  /** Token t is bytes [offsets[t], offsets[t + 1]); a special token has none. */
  readonly offsets: Uint32Array;
}

/** `tokens`: the bytes of each token by id. */
export function packTokenBytes(tokens: readonly Uint8Array[]): TokenBytes {
  const offsets = new Uint32Array(tokens.length + 1);
  tokens.forEach((token, id) => {
    offsets[id + 1] = (offsets[id] ?? 0) + token.length;
  });
  const bytes = new Uint8Array(offsets[tokens.length] ?? 0);
  tokens.forEach((token, id) => {
    bytes.set(token, offsets[id]);
  });
  return { bytes, offsets };
}

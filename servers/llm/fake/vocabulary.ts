/** The fake model's tokens: the 256 bytes, and three special ones. */
import { packTokenBytes } from "../text/token-bytes.js";

export const END_OF_TEXT = 256;
export const TURN_START = 257;
export const TURN_END = 258;
export const VOCAB = 259;

/** The special tokens as they are written, by id - 256. */
export const SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] as const;

export const TOKEN_BYTES = packTokenBytes(
  Array.from({ length: VOCAB }, (_, id) => Uint8Array.from(id < END_OF_TEXT ? [id] : [])),
  new Map(SPECIAL.map((name, i) => [END_OF_TEXT + i, name])),
);

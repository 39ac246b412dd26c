/** Log probabilities of generated tokens, from the wire to the surface. */
import type { Logprobs as Wire, LikelyToken as WireToken } from "../proto/gen/contix/v1/calls.js";

/** A token, and what the model made of it. */
export interface LikelyToken {
  readonly token: number;
  /** Its text by itself: U+FFFD for a part of a character; a special token's name. */
  readonly text: string;
  /** The bytes that it stands for; a special token has none. */
  readonly bytes: readonly number[];
  /** Natural logarithm of its probability, before penalties, temperature and top-k, top-p, min-p. */
  readonly logprob: number;
}

/** A generated token. */
export interface TokenLogprob extends LikelyToken {
  /** As many as were asked for, the likeliest first; it may be one of them itself. */
  readonly top: readonly LikelyToken[];
}

/** Undefined when none were asked for. */
export function fromLogprobs(wire: Wire | undefined): TokenLogprob[] | undefined {
  return wire?.tokens.map((one) => ({ ...fromToken(one), top: one.top.map(fromToken) }));
}

function fromToken({ token, logprob, bytes, special }: WireToken): LikelyToken {
  const text = special === "" ? bytes.toString("utf8") : special;
  return { token, text, bytes: [...bytes], logprob };
}

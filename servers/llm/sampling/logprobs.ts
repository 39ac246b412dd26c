/**
 * Log probabilities of tokens as the model itself gives them: the log-softmax of its logits
 * in float64, before penalties, temperature and whatever cuts the candidates. The sum goes
 * over the vocabulary in its order, by an exp that is the same everywhere (exp.ts).
 */
import { weight } from "./exp.js";
import { rankKey, topK } from "./rank.js";
import { argmax } from "./scan.js";

export interface Likely {
  readonly token: number;
  /** Natural logarithm of its probability. */
  readonly logprob: number;
}

/** What is told of one sampled token. */
export interface Told {
  readonly logprob: number;
  /** The likeliest first, the lowest id among equals. None is impossible. */
  readonly top: readonly Likely[];
}

/** Sampling is synchronous, so all bursts of a thread share one copy. */
let shared = new Float32Array(0);

/** A copy of logits that the sampler may change. It holds until the next. */
export function copyOf(logits: Float32Array): Float32Array {
  if (shared.length < logits.length) shared = new Float32Array(logits.length);
  shared.set(logits);
  return shared.subarray(0, logits.length);
}

/** Of `token`, and of the `most` likeliest, by raw logits [vocab]. Throws EIO as `argmax` does. */
export function logprobsOf(logits: Float32Array, token: number, most: number): Told {
  const max = logits[argmax(logits)] ?? 0;
  const share = Math.log(weightOf(logits, max));
  const logprob = (id: number): number => (logits[id] ?? 0) - max - share;
  const top = likeliest(logits, most).map((id) => ({ token: id, logprob: logprob(id) }));
  return { logprob: logprob(token), top: top.filter((one) => Number.isFinite(one.logprob)) };
}

/** The sum of exp(logit - max). */
function weightOf(logits: Float32Array, max: number): number {
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += weight((logits[id] ?? 0) - max);
  return sum;
}

/** The ids of the `most` that rank first, in the order of their rank. */
function likeliest(logits: Float32Array, most: number): number[] {
  if (most === 0) return [];
  const ids = new Int32Array(Math.min(most, logits.length));
  topK(logits, ids.length, ids);
  const key = (id: number): number => rankKey(logits[id] ?? 0, id);
  return [...ids].sort((a, b) => key(b) - key(a));
}

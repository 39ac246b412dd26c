/**
 * Picks the next token from logits. The transforms, in this order: repetition penalty,
 * presence penalty, temperature (0 ends here: the highest logit, the lowest id among
 * equals), top-k, top-p, min-p, draw. The draw is keyed by (seed, position, 0) alone.
 */
import {
  candidates,
  draw,
  dropLight,
  fullWeight,
  takeNear,
  takeShare,
  takeTopK,
  weigh,
} from "./candidates.js";
import type { SamplingParams } from "./params.js";
import { Penalties } from "./penalties.js";
import { Draws } from "./rng.js";
import { argmax } from "./scan.js";
import { keepNucleus } from "./top-p.js";

/** Sampling is synchronous, so all samplers of a thread share one set of buffers. */
let shared = buffers(0);

function buffers(vocab: number) {
  return { set: candidates(vocab), all: new Float64Array(vocab) };
}

/** The sampler of one burst. */
export class Sampler {
  readonly #params: SamplingParams;
  readonly #penalties: Penalties;
  readonly #draws: Draws;

  /** `genStart`: position of the burst's first generated token. */
  constructor(params: SamplingParams, genStart: number) {
    this.#params = params;
    this.#penalties = new Penalties(params.repetitionPenalty, params.presencePenalty, genStart);
    this.#draws = new Draws(params.seed);
  }

  /**
   * The token for `position`, from logits [vocab] (which may be overwritten) and the
   * context's tokens so far (which may grow or be cut between calls). Throws EIO for
   * logits that are no distribution: NaN, or a greatest one that is not finite.
   */
  sample(logits: Float32Array, position: number, context: readonly number[]): number {
    if (this.#penalties.active) this.#penalties.apply(logits, context);
    if (this.#params.temperature === 0 || this.#params.topK === 1) return argmax(logits);
    return this.#draw(logits, this.#draws.uniform(position, 0));
  }

  /** The token that `u` (in [0, 1)) falls on, of those that top-k, top-p and min-p leave. */
  #draw(logits: Float32Array, u: number): number {
    const { temperature, topK, topP, minP } = this.#params;
    const vocab = logits.length;
    if (shared.all.length < vocab) shared = buffers(vocab);
    const { set, all } = shared;
    const full = fullWeight(vocab);
    let max: number;
    let total: number; // that top-p takes its share of
    if (topK > 0 && topK < vocab) {
      max = takeTopK(set, logits, topK);
      weigh(set.weights, set.logits, set.n, max, temperature, full);
      total = dropLight(set, 1);
    } else if (topP < 1) {
      max = logits[argmax(logits)] ?? 0;
      total = weigh(all, logits, vocab, max, temperature, full);
      takeShare(set, logits, all, topP * total, max, temperature);
    } else if (minP > 0) {
      max = takeNear(set, logits, -temperature * Math.log(0.99 * minP));
      total = weigh(set.weights, set.logits, set.n, max, temperature, full);
    } else {
      max = logits[argmax(logits)] ?? 0;
      return draw(all, weigh(all, logits, vocab, max, temperature, full), u);
    }
    if (topP < 1) keepNucleus(set, topP * total, max);
    const left = dropLight(set, Math.max(1, minP * full));
    return set.ids[draw(set.weights, left, u)] ?? 0;
  }
}

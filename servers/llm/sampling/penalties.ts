/**
 * Repetition and presence penalties on logits. The state follows the context token by
 * token, and is at any time what a rebuild from the whole context would give: each
 * penalty asks only which tokens occur, not in which order or how often.
 */

const SEEN = 1;
const GENERATED = 2;

export class Penalties {
  readonly #repetition: number;
  readonly #presence: number;
  readonly #genStart: number;
  /** By token: SEEN, GENERATED. */
  #marks = new Uint8Array(0);
  /** The marked tokens, each once. */
  #tokens: number[] = [];
  #followed = 0;

  /** `genStart`: position of the first generated token, where presence begins to count. */
  constructor(repetition: number, presence: number, genStart: number) {
    this.#repetition = repetition;
    this.#presence = presence;
    this.#genStart = genStart;
  }

  get active(): boolean {
    return this.#repetition !== 1 || this.#presence !== 0;
  }

  /**
   * Changes `logits` [vocab] in place. `context` is all tokens so far; between two calls
   * it may grow, or be cut (then the state is rebuilt), but not change in its middle.
   */
  apply(logits: Float32Array, context: readonly number[]): void {
    this.#follow(logits.length, context);
    for (const token of this.#tokens) {
      let logit = logits[token] ?? 0;
      logit = logit > 0 ? logit / this.#repetition : logit * this.#repetition;
      if ((this.#marks[token] ?? 0) & GENERATED) logit -= this.#presence;
      logits[token] = logit;
    }
  }

  #follow(vocab: number, context: readonly number[]): void {
    if (context.length < this.#followed || this.#marks.length !== vocab) {
      this.#marks = new Uint8Array(vocab);
      this.#tokens = [];
      this.#followed = 0;
    }
    for (let at = this.#followed; at < context.length; at++) {
      const token = context[at] ?? vocab;
      if (token >= vocab) continue;
      if (this.#marks[token] === 0) this.#tokens.push(token);
      this.#marks[token] = (this.#marks[token] ?? 0) | (at >= this.#genStart ? GENERATED : SEEN);
    }
    this.#followed = context.length;
  }
}

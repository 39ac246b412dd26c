/**
 * A row that decodes alone, with guesses of the tokens that come: the model checks them in
 * one run. Sampling is a function of logits, seed and position, and the logits of a run are
 * those of decode (a model whose are not has no `verify`), so each token sampled from the
 * run is the one that decode would have given. While it equals the guess, the next
 * position's logits hold too; after the first that does not, the rest of the run is void:
 * the mirror ends there, and what comes next is written over it.
 */

import type { TokenLogprob } from "../../../proto/gen/contix/v1/calls.js";
import type { Entry } from "./agenda.js";
import { guess, Patience } from "./lookup.js";
import type { Model } from "./model.js";
import type { Progress, RunningBurst } from "./running-burst.js";

export class LookupRow {
  readonly #verify: NonNullable<Model["verify"]>;
  readonly #most: number;
  readonly #patience = new WeakMap<RunningBurst, Patience>();

  private constructor(verify: NonNullable<Model["verify"]>, most: number) {
    this.#verify = verify;
    this.#most = most;
  }

  /** At most `most` tokens guessed at once; undefined when that is 0 or the model can not check them. */
  static of(model: Model, most: number): LookupRow | undefined {
    const verify = model.verify?.bind(model);
    return verify === undefined || most === 0 ? undefined : new LookupRow(verify, most);
  }

  /**
   * Enters the row's token and guesses after it, and samples as far as they were right:
   * the progress of all these tokens together. Undefined, and nothing is done, when there
   * is nothing to guess.
   */
  async enter({ slot, burst, token, sample }: Entry): Promise<Progress | undefined> {
    if (!sample || burst.pending === undefined) return undefined;
    const patience = this.#patienceOf(burst);
    const room = burst.end - slot.length - 2; // the last run's last sample is the burst's last
    const guesses = guess(slot.tokens, token, Math.min(patience.next(), room));
    if (guesses.length === 0) return undefined;
    const run = [token, ...guesses];
    const rows = await this.#verify(slot.index, slot.length, run);
    const sampled: number[] = [];
    const told: TokenLogprob[] = [];
    let text = "";
    for (const [i, logits] of rows.entries()) {
      burst.pending = undefined;
      slot.tokens.push(run[i] ?? 0);
      const progress = burst.sample(logits, slot.tokens);
      sampled.push(...progress.sampled);
      text += progress.text;
      if (progress.logprobs) told.push(...progress.logprobs.tokens);
      const goesOn = progress.finish === "" && burst.pending === run[i + 1];
      if (goesOn) continue;
      patience.note(guesses.length, i);
      const logprobs = told.length === 0 ? undefined : { tokens: told };
      return { ...progress, sampled, text, logprobs };
    }
    throw new RangeError(`${rows.length} rows of logits for ${run.length} tokens`);
  }

  #patienceOf(burst: RunningBurst): Patience {
    let patience = this.#patience.get(burst);
    if (patience === undefined) {
      patience = new Patience(this.#most);
      this.#patience.set(burst, patience);
    }
    return patience;
  }
}

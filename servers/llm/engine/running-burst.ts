/**
 * The generated side of a burst: its sampler, its text and the ways it ends.
 *
 * All of it is a function of the generated tokens, so it can be made again: `replay`
 * feeds tokens that were sampled before (in a slot or a driver that was lost) and
 * leaves the burst exactly as `sample` had left it.
 */

import { ContixError } from "../../../proto/errno.js";
import type { Burst } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { LikelyToken, Logprobs, TokenLogprob } from "../../../proto/gen/contix/v1/calls.js";
import { copyOf, logprobsOf } from "../sampling/logprobs.js";
import { samplingParams } from "../sampling/params.js";
import { Sampler } from "../sampling/sampler.js";
import type { Detokenizer } from "../text/server.js";
import { StopMatcher } from "../text/stops.js";

/** What ends a burst besides its own stop strings and token count. */
export interface Limits {
  readonly eosIds: ReadonlySet<number>;
  readonly slotTokens: number;
}

export type Finish = "" | "eos" | "stop" | "length";

/** What one more generated token made sure. */
export interface Progress {
  /** The token, or nothing when there was no room for one. */
  readonly sampled: number[];
  /** Whole characters, no part of a stop string. */
  readonly text: string;
  readonly finish: Finish;
  /** The stop string that matched. */
  readonly stop: string;
  /** Of the token, when the burst asks for it. */
  readonly logprobs?: Logprobs | undefined;
}

export class RunningBurst {
  readonly id: bigint;
  readonly genStart: number;
  /** The token sampled last, while it is not in the slot yet. */
  pending: number | undefined;
  readonly #spec: Burst;
  readonly #limits: Limits;
  readonly #sampler: Sampler;
  readonly #detokenizer: Detokenizer;
  readonly #stops: StopMatcher;

  constructor(spec: Burst, detokenizer: Detokenizer, limits: Limits) {
    this.id = spec.id;
    this.genStart = spec.genStart;
    this.#spec = spec;
    this.#limits = limits;
    this.#sampler = new Sampler(samplingParams(spec), spec.genStart);
    this.#detokenizer = detokenizer;
    this.#stops = new StopMatcher(spec.stop);
  }

  /** No token is generated at this position or behind it. */
  get end(): number {
    return Math.min(this.genStart + this.#spec.maxTokens, this.#limits.slotTokens);
  }

  /**
   * Samples the token at `position` = context.length from `logits` [vocab] (overwritten)
   * and `context`, every token before it. The token is then pending, or the burst has ended.
   */
  sample(logits: Float32Array, context: readonly number[]): Progress {
    const position = context.length;
    if (position < this.genStart) {
      throw new ContixError(
        "EPROTO",
        `burst ${this.id} would sample at position ${position}, before its gen_start ${this.genStart}`,
      );
    }
    if (this.#full(position)) return { sampled: [], text: "", finish: "length", stop: "" };
    const most = this.#spec.logprobs;
    // Penalties change the logits; what is told is the model's own.
    const raw = most === undefined ? undefined : copyOf(logits);
    const token = this.#sampler.sample(logits, position, context);
    this.pending = token;
    const progress = this.#advance(token, position);
    if (raw === undefined || most === undefined) return progress;
    return { ...progress, logprobs: { tokens: [this.#told(raw, token, most)] } };
  }

  /** Feeds a token of this burst that was sampled and reported before. */
  replay(token: number, position: number): void {
    const { finish } = this.#advance(token, position);
    if (finish !== "") {
      throw new ContixError(
        "EPROTO",
        `burst ${this.id} had ended ("${finish}") with token ${token} at position ${position}, and is to go on`,
      );
    }
  }

  /** What `raw`, the model's own logits, make of `token`. */
  #told(raw: Float32Array, token: number, most: number): TokenLogprob {
    const { logprob, top } = logprobsOf(raw, token, most);
    return {
      ...this.#named(token, logprob),
      top: top.map((likely) => this.#named(likely.token, likely.logprob)),
    };
  }

  #named(token: number, logprob: number): LikelyToken {
    return { token, logprob, ...this.#detokenizer.piece(token) };
  }

  #advance(token: number, position: number): Progress {
    if (!this.#spec.ignoreEos && this.#limits.eosIds.has(token)) {
      return this.#finish(token, "eos", "");
    }
    const { text, matched } = this.#stops.push(this.#detokenizer.push(token));
    if (matched !== undefined) return { sampled: [token], text, finish: "stop", stop: matched };
    if (this.#full(position + 1)) return this.#finish(token, "length", text);
    return { sampled: [token], text, finish: "", stop: "" };
  }

  /** Gives what was held back; that too may complete a stop string. */
  #finish(token: number, finish: Finish, before: string): Progress {
    const { text, matched } = this.#stops.push(this.#detokenizer.flush());
    if (matched !== undefined)
      return { sampled: [token], text: before + text, finish: "stop", stop: matched };
    return { sampled: [token], text: before + text + this.#stops.flush(), finish, stop: "" };
  }

  /** Whether no token may be generated at `position`. */
  #full(position: number): boolean {
    return position >= this.end;
  }
}

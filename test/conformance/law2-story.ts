/**
 * Stories: what is asked of the model in the test of law 2, and how a history must enter.
 * Written anew from ENGINE.md ("Determinism, exactly"), not shared with the kernel, so
 * that the kernel's reading of the rules and this one are two.
 */
import type { Burst } from "../../proto/gen/contix/driver/v1/llm.js";
import type { TokenLogprob } from "../../proto/gen/contix/v1/calls.js";

/** A seeded source of randomness (mulberry32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** [0, 1) */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  chance(p: number): boolean {
    return this.next() < p;
  }

  /** A whole number in [low, high]. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(0, items.length - 1)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  shuffled<T>(items: readonly T[]): T[] {
    const keyed = items.map((item) => ({ item, key: this.next() }));
    return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
  }
}

/** Given tokens, then one generation. */
export interface Turn {
  readonly given: readonly number[];
  readonly burst: Omit<Burst, "id" | "genStart">;
}

export interface Story {
  readonly turns: readonly Turn[];
}

/** What a generation came to. */
export interface Answer {
  readonly tokens: readonly number[];
  /** Of each token: a hash of the logits that it was sampled from. */
  readonly logits: readonly number[];
  /** Of each token, where they were asked for. */
  readonly logprobs: readonly TokenLogprob[];
  readonly text: string;
  readonly finish: string;
  readonly stop: string;
}

interface Run {
  readonly start: number;
  readonly end: number;
  readonly given: boolean;
}

/** Tokens, each given or generated for good. */
export class History {
  readonly tokens: number[] = [];
  readonly #runs: Run[] = [];

  append(given: boolean, tokens: readonly number[]): void {
    if (tokens.length === 0) return;
    const start = this.tokens.length;
    this.tokens.push(...tokens);
    const last = this.#runs.at(-1);
    if (last?.given === given) {
      this.#runs[this.#runs.length - 1] = { ...last, end: this.tokens.length };
    } else {
      this.#runs.push({ start, end: this.tokens.length, given });
    }
  }

  /** How the tokens from `at` on enter, up to `end`: the rest of one prefill, or all that decode. */
  feed(at: number): { how: "prefill" | "decode"; end: number } {
    const byPrefill = (run: Run): boolean => run.given && run.end - run.start > 1;
    const here = this.#runs.findIndex((run) => run.end > at);
    const run = this.#runs[here];
    if (run === undefined) throw new RangeError(`nothing to feed at ${at}`);
    if (byPrefill(run)) return { how: "prefill", end: run.end };
    const next = this.#runs.slice(here).find(byPrefill);
    return { how: "decode", end: next?.start ?? this.tokens.length };
  }

  /** Whether the tokens before and after `at` can be computed apart. */
  #divides(at: number): boolean {
    const run = this.#runs.find(({ end }) => end > at);
    if (run === undefined) return false;
    return !run.given || at === run.start || (at - run.start > 1 && run.end - at > 1);
  }

  /** Where a slot with the first `length` tokens of `other` can be cut to go on with this history. */
  cuts(other: History, length: number): number[] {
    let common = 0;
    const last = Math.min(length, this.tokens.length - 1);
    while (common < last && this.#same(other, common)) common += 1;
    const cuts: number[] = [];
    for (let at = 1; at <= common; at++) {
      // Where the other history ends is no place inside one of its runs.
      const whole = at === other.tokens.length;
      if (this.#divides(at) && (whole || other.#divides(at))) cuts.push(at);
    }
    return cuts;
  }

  #same(other: History, at: number): boolean {
    const mine = this.#runs.find(({ end }) => end > at);
    const its = other.#runs.find(({ end }) => end > at);
    return (
      this.tokens[at] === other.tokens[at] &&
      mine?.given === its?.given &&
      mine?.start === its?.start
    );
  }
}

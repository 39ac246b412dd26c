/**
 * The driver's own executor in this process, over a model that is a pure function
 * of each slot's tokens: the kernel's scheduling code against the real protocol,
 * thousands of steps a second, and a loss of everything at will.
 */

import { RunResults } from "../../kernel/drivers/run-results.js";
import type { PlanRunner, RunResult } from "../../kernel/sched/loop.js";
import type { Outcome, PageDone, Plan } from "../../proto/gen/contix/driver/v1/llm.js";
import { Executor } from "../../servers/llm/engine/executor.js";
import type { DecodeRow, Model, ModelInfo } from "../../servers/llm/engine/model.js";
import type { Pages } from "../../servers/llm/engine/pages.js";
import type { Swap } from "../../servers/llm/engine/swap.js";
import { WordKv } from "../../servers/llm/engine/testing/word-kv.js";

export const VOCAB = 64;
export const EOS = 63;

/** How each token of a slot entered: the answer depends on it, so a wrong way shows. */
type Way = "prefill" | "decode";

/**
 * Next-token logits are a hash of every token in the slot and of the way it entered. That
 * is its KV, in frames and in the swap file too: a wrong page shows.
 */
export class HashModel implements Model {
  readonly info: ModelInfo;
  readonly pages: Pages;
  readonly #kv: WordKv;

  /** With `oneWay` the way in leaves no trace. */
  constructor(slots: number, slotTokens: number, frames = 0, oneWay = false) {
    this.#kv = new WordKv(slots, slotTokens, frames);
    this.pages = this.#kv.pages;
    this.info = {
      engineDigest: "hash",
      name: "hash",
      slots,
      slotTokens,
      vocab: VOCAB,
      eosIds: [EOS],
      chat: false,
      license: "",
      driver: "fake",
      chunkTokens: 16,
      oneWay,
    };
  }

  async prefill(slot: number, start: number, tokens: readonly number[], wantLogits: boolean) {
    if (tokens.length < 2) throw new Error("a chunk of one token");
    this.#enter(slot, start, tokens, "prefill");
    return wantLogits ? this.#logits(slot) : undefined;
  }

  async decode(rows: readonly DecodeRow[]) {
    for (const row of rows) this.#enter(row.slot, row.position, [row.token], "decode");
    return rows.filter((row) => row.wantLogits).map((row) => this.#logits(row.slot));
  }

  async copy(from: number, to: number, tokens: number) {
    this.#kv.copy(from, to, tokens);
  }

  async close() {}

  #enter(index: number, start: number, tokens: readonly number[], way: Way): void {
    const mark = way === "prefill" && !this.info.oneWay ? 1 : 0;
    tokens.forEach((token, i) => {
      this.#kv.enter(index, start + i, token * 2 + mark);
    });
  }

  #logits(index: number): Float32Array {
    let hash = 0x811c9dc5;
    for (const word of this.#kv.words(index)) hash = Math.imul(hash ^ word, 0x01000193);
    const logits = new Float32Array(VOCAB);
    for (let i = 0; i < VOCAB; i++) {
      hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) + i;
      logits[i] = ((hash >>> 8) & 0xffff) / 16384;
    }
    return logits;
  }
}

/**
 * A PlanRunner over an executor; `crash` loses every slot and frame, as a killed driver
 * does. What is in `swap` stays.
 */
export class InProcessDriver implements PlanRunner {
  readonly failure = undefined;
  readonly #model: () => Model;
  readonly #swap: Swap | undefined;
  readonly #results = new RunResults();
  #executor: Executor;
  #generation = 0;
  #plan = 0n;
  #down = false;
  readonly #onFault: (error: Error) => void;

  /** `onFault` hears of the executor's own failure: a plan it refused. */
  constructor(model: () => Model, onFault: (error: Error) => void, swap?: Swap) {
    this.#model = model;
    this.#swap = swap;
    this.#onFault = onFault;
    this.#executor = this.#start();
  }

  up(): Promise<void> {
    return Promise.resolve();
  }

  async run(plan: Plan): Promise<RunResult> {
    // As with a process: until the loss is heard of no plan reaches the next driver, and then all do.
    if (!this.#down && plan.id !== this.#plan) {
      this.#plan = plan.id;
      // Over the wire and back, so that nothing is shared.
      this.#executor.submit(structuredClone(plan));
    }
    const result = await this.#results.next();
    if (result.kind === "lost") this.#down = false;
    return result;
  }

  wake(): void {
    this.#results.wake();
  }

  crash(): void {
    this.#executor.stop();
    this.#plan = 0n;
    this.#executor = this.#start();
    this.#down = true;
    this.#results.lost();
  }

  stop(): void {
    this.#generation++;
    this.#executor.stop();
  }

  #start(): Executor {
    const generation = ++this.#generation;
    const report = (outcome: Outcome): void => {
      if (generation === this.#generation) this.#results.outcome(outcome);
    };
    const text = (token: number): string => `${token} `;
    const piece = (token: number) => ({ bytes: Buffer.from(text(token)), special: "" });
    const detokenizer = () => ({ push: text, flush: () => "", piece });
    const reportPages = (done: PageDone[]): void => {
      if (generation === this.#generation) this.#results.pages(done);
    };
    const executor = new Executor({
      model: this.#model(),
      swap: this.#swap,
      detokenizer,
      report,
      reportPages,
      nowUs: () => 0,
    });
    executor.run().catch((error: Error) => {
      if (generation !== this.#generation) return;
      this.#onFault(error);
      this.#results.lost();
    });
    return executor;
  }
}

/** The engines of a comparison, behind one shape: each decodes the same prompts and says how fast. */

import { z } from "zod";
import { PLAIN_DRIVER } from "../../proto/plain-driver.js";
import { type BareDriver, startDriver, type TimedOutcome } from "../harness/driver.js";
import type { HubModel } from "../harness/hub-export.js";
import { Peer } from "../harness/peer.js";
import { decodePlans } from "../harness/plans.js";
import { inCheckout } from "../harness/root.js";
import { summarize } from "../harness/stats.js";

/** One run: every row decoded `stepMs.length` tokens. */
export interface DecodeRun {
  readonly rows: number;
  readonly seconds: number;
  /** The time from token to token; at several rows until the last row has it. */
  readonly stepMs: readonly number[];
  /** The first token of each row and what was timed after it. */
  readonly tokens: readonly (readonly number[])[];
}

/** Tokens a second of all rows together. */
export function speed({ rows, seconds, stepMs }: DecodeRun): number {
  return (rows * stepMs.length) / seconds;
}

/** The median time from token to token, milliseconds. */
export function medianStep({ stepMs }: DecodeRun): number {
  return summarize(stepMs).median;
}

const Decoded = z.object({
  seconds: z.number(),
  stepMs: z.array(z.number()),
  tokens: z.array(z.array(z.number())),
});
const Prefilled = z.object({ seconds: z.number() });
const Saved = z.object({ seconds: z.number(), bytes: z.number() });
const Restored = z.object({ seconds: z.number(), tokens: z.number() });

let nextBurst = 1n;

/** Our driver, alone in its process. */
export class OurEngine implements AsyncDisposable {
  readonly #driver: BareDriver;
  /** The prompts whose keys and values the slots hold. */
  #held: readonly number[][] | undefined;

  private constructor(driver: BareDriver) {
    this.#driver = driver;
  }

  /** @param model a compiled model's directory @param threads 0: all cores */
  static async start(model: string, slots: number, slotTokens: number, threads: number) {
    const entry = inCheckout("dist", "servers", "llm", "main.js");
    const open = { model, slots, slotTokens, threads, options: "", ...PLAIN_DRIVER };
    return new OurEngine(await startDriver(entry, open));
  }

  get digest(): string {
    return this.#driver.ready.engineDigest;
  }

  encode(text: string): Promise<number[]> {
    return this.#driver.client.encode(text);
  }

  /** Prompts that were there in the run before are not entered again. */
  async decode(prompts: readonly number[][], steps: number): Promise<DecodeRun> {
    const { client, ready } = this.#driver;
    const firstBurst = nextBurst;
    nextBurst += BigInt(prompts.length);
    const held = this.#held === prompts;
    const chunk = ready.chunkTokens;
    const plans = decodePlans({ prompts, tokens: steps + 1, chunk, firstBurst, held });
    if (!held) await client.run(plans.enter);
    const outcomes = await client.run(plans.decode);
    this.#held = prompts;
    const sampled = outcomes.map(tokensOf);
    const short = sampled.findIndex((tokens) => tokens.length !== prompts.length);
    if (outcomes.length !== steps + 1 || short !== -1) {
      throw new Error(`our driver ran ${outcomes.length} steps; in step ${short} rows are missing`);
    }
    const at = outcomes.map(({ atMs }) => atMs);
    return {
      rows: prompts.length,
      seconds: ((at.at(-1) ?? 0) - (at[0] ?? 0)) / 1000,
      stepMs: at.slice(1).map((end, i) => end - (at[i] ?? 0)),
      tokens: prompts.map((_, row) => sampled.map((step) => step[row] ?? -1)),
    };
  }

  /** Seconds to enter a prompt, the way to the driver included. */
  async prefill(prompt: readonly number[]): Promise<number> {
    const { client, ready } = this.#driver;
    this.#held = undefined;
    // One token more than is timed: `enter` leaves the last one out.
    const prompts = [[...prompt, prompt[0] ?? 0]];
    const chunk = ready.chunkTokens;
    const { enter } = decodePlans({ prompts, tokens: 1, chunk, firstBurst: nextBurst++ });
    const start = performance.now();
    await client.run(enter);
    return (performance.now() - start) / 1000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#driver[Symbol.asyncDispose]();
  }
}

function tokensOf({ outcome }: TimedOutcome): number[] {
  const rows = [...outcome.rows].sort((a, b) => a.slot - b.slot);
  return rows.flatMap(({ sampled }) => sampled);
}

/** How a context of node-llama-cpp is made; see peers/llama.mjs. */
export interface LlamaTuning {
  readonly batchSize?: number;
  readonly flashAttention?: boolean;
  readonly kv?: "F16" | "F32" | "Q8_0";
}

/** How its sequences are pulled; see peers/llama.mjs. */
export type LlamaPull = "free" | "lockstep" | "controlled";

/** node-llama-cpp on one GGUF file. */
export class LlamaEngine implements AsyncDisposable {
  readonly #peer: Peer;

  private constructor(peer: Peer) {
    this.#peer = peer;
  }

  static async start(gguf: string, threads: number): Promise<LlamaEngine> {
    const peer = new Peer(inCheckout("bench", "peers", "llama.mjs"));
    await peer.call("load", { gguf, threads }, z.unknown());
    return new LlamaEngine(peer);
  }

  /** Makes the one context: `rows` sequences of `tokens`. */
  async open(rows: number, tokens: number, tuning: LlamaTuning): Promise<void> {
    await this.#peer.call("open", { rows, tokens, ...tuning }, z.unknown());
  }

  async decode(prompts: readonly number[][], steps: number, mode: LlamaPull): Promise<DecodeRun> {
    const run = await this.#peer.call("decode", { prompts, steps, mode }, Decoded);
    return { rows: prompts.length, ...run };
  }

  async prefill(prompt: readonly number[]): Promise<number> {
    return (await this.#peer.call("prefill", { prompt }, Prefilled)).seconds;
  }

  /** Writes what the first sequence holds to a file. */
  save(file: string): Promise<z.infer<typeof Saved>> {
    return this.#peer.call("save", { file }, Saved);
  }

  /** Empties the first sequence and reads it from a file. */
  restore(file: string): Promise<z.infer<typeof Restored>> {
    return this.#peer.call("restore", { file }, Restored);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#peer[Symbol.asyncDispose]();
  }
}

/** @huggingface/transformers on one export. */
export class HubEngine implements AsyncDisposable {
  readonly #peer: Peer;

  private constructor(peer: Peer) {
    this.#peer = peer;
  }

  static async start(model: HubModel, threads: number): Promise<HubEngine> {
    const peer = new Peer(inCheckout("bench", "peers", "transformers.mjs"));
    await peer.call("load", { ...model, threads }, z.unknown());
    return new HubEngine(peer);
  }

  async decode(prompts: readonly number[][], steps: number): Promise<DecodeRun> {
    const run = await this.#peer.call("decode", { prompts, steps }, Decoded);
    return { rows: prompts.length, ...run };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#peer[Symbol.asyncDispose]();
  }
}

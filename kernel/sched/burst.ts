/** A burst: one uninterrupted demand on the model, a prefill and its decode. */

import type { TokenLogprob } from "../../proto/gen/contix/v1/calls.js";
import type { ProcessClass } from "../journal/fold-procs.js";
import type { Account } from "./policy.js";

export type BurstId = bigint;

export interface SamplingSpec {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly seed: bigint;
}

export interface BurstSpec {
  readonly pid: bigint;
  readonly cid: bigint;
  /** The agent program that its process belongs to, all of it: the process's session. */
  readonly program: bigint;
  readonly principal: string;
  readonly class: ProcessClass;
  /** Position of its first generated token. */
  readonly genStart: number;
  readonly maxTokens: number;
  readonly sampling: SamplingSpec;
  readonly stop: readonly string[];
  readonly ignoreEos: boolean;
  /** Likeliest tokens to tell of beside each generated one; missing: nothing of that is told. */
  readonly logprobs?: number | undefined;
}

/** How a burst ended, or why it can not go on. */
export type BurstEnd =
  | { readonly kind: "finished"; readonly finish: string; readonly stop: string }
  | { readonly kind: "failed"; readonly error: Error };

/** Hears what a burst produces. Calls come from the kernel's loop, in order. */
export interface BurstListener {
  /** `logprobs`: of these tokens, when the burst asks for them. */
  progress(tokens: readonly number[], text: string, logprobs?: readonly TokenLogprob[]): void;
  end(end: BurstEnd): void;
}

/** ready: wants a slot. running: has one. paused: waits for its reader. */
export type BurstState = "ready" | "running" | "paused";

export interface Burst {
  readonly id: BurstId;
  readonly spec: BurstSpec;
  readonly listener: BurstListener;
  readonly order: number;
  /** Of its class; 0 is the highest. */
  readonly rank: number;
  /** In whose books the policy has it. */
  account: Account | undefined;
  state: BurstState;
  nice: number;
  /** Given tokens that had to be entered when it came, as far as that could be known. */
  missing: number;
  /** When it last became ready, microseconds. */
  readySince: number;
  /** Tokens generated since it last got a slot. */
  quantumUsed: number;
  /** What was served since then, prefill and all, in tokens generated. */
  turnService: number;
  /** Turns of that which are booked: it went on with another. */
  turns: number;
  /** It has its slot because its class was passed over: nobody takes it before its turn is over. */
  owed: boolean;
  /** Given tokens of it that have entered, or were there already. */
  entered: number;
  /** Tokens generated in all. */
  attained: number;
  /** Tokens that entered a slot a second time. */
  recomputed: number;
  /** Tokens of its context that were in a slot when it first ran; -1: it has not run yet. */
  cached: number;
  queuedUs: number;
  servedUs: number;
  switchedInAt: number;
  arrivedAt: number;
  firstTokenAt: number;
  /** Tokens it has generated and the kernel has heard of. */
  generatedSoFar: number;
}

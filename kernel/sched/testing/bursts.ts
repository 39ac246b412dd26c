/** Bursts for tests and benches: specs that ask for nothing special, and rows of outcomes. */
import type { RowOutcome } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { BurstListener, BurstSpec } from "../burst.js";

const SAMPLING = {
  ...{ temperature: 0, topK: 0, topP: 1, minP: 0 },
  ...{ repetitionPenalty: 1, presencePenalty: 0, seed: 1n },
};

/** A burst of a program and a principal of its own, unless told otherwise. */
export function specOf(pid: bigint, over: Partial<BurstSpec> = {}): BurstSpec {
  return {
    ...{ pid, cid: pid, program: pid, principal: `p${pid}`, class: "interactive" },
    ...{ genStart: 1, maxTokens: 1000, sampling: SAMPLING, stop: [], ignoreEos: true },
    ...over,
  };
}

export const NOBODY: BurstListener = { progress: () => {}, end: () => {} };

/** What a step did for a burst: its slot has `length` tokens, and it made `generated` more. */
export function rowOf(length: number, generated: number, finish = ""): RowOutcome {
  const sampled = Array<number>(generated).fill(7);
  return { burst: 0n, slot: 0, length, sampled, text: "", finish, stop: "" };
}

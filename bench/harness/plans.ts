/** Whole plans for the bare driver. */
import type { Bind, Burst, PrefillChunk } from "../../proto/gen/contix/driver/v1/llm.js";
import type { PlanBody } from "./driver.js";

/**
 * Cuts a prompt into chunks of at most `size` tokens. No chunk has one token (a given token
 * alone enters by decode): 65 is cut as 63 + 2, not as 64 + 1.
 * @param size 3 or more @param tokens 2 or more
 */
export function cut(
  tokens: readonly number[],
  size: number,
): { start: number; tokens: number[] }[] {
  const chunks = [];
  let start = 0;
  while (start < tokens.length) {
    const left = tokens.length - start;
    const take = left === size + 1 ? size - 1 : Math.min(size, left);
    chunks.push({ start, tokens: tokens.slice(start, start + take) });
    start += take;
  }
  return chunks;
}

export type SamplingName = "greedy" | "top40";

/** What a burst samples by. */
const SAMPLING = {
  greedy: { temperature: 0, topK: 0, topP: 1 },
  top40: { temperature: 0.8, topK: 40, topP: 0.95 },
} as const;

/** A burst that does not end by itself; prompts[i] is served in slot i as burst `ids + i`. */
function burst(id: bigint, genStart: number, { tokens, sampling = "greedy" }: Work): Burst {
  return {
    id,
    genStart,
    maxTokens: tokens,
    ...SAMPLING[sampling],
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    seed: 1n,
    stop: [],
    ignoreEos: true,
  };
}

interface Work {
  readonly prompts: readonly (readonly number[])[];
  /** Generated tokens a prompt. */
  readonly tokens: number;
  /** The driver's prefill chunk. */
  readonly chunk: number;
  /** The id of the first burst; later ones count up. */
  readonly firstBurst: bigint;
  /** The slots hold the prompts from a run before: all but a prompt's last token is kept. */
  readonly held?: boolean;
  readonly sampling?: SamplingName;
}

function binds(work: Work): Bind[] {
  const { prompts, firstBurst, held } = work;
  return prompts.map((prompt, slot) => ({
    slot,
    keep: held ? prompt.length - 1 : 0,
    burst: burst(firstBurst + BigInt(slot), prompt.length, work),
    loads: [],
  }));
}

/**
 * Two plans: the first enters each prompt but for its last token, the second enters that and
 * decodes, every row in every step. So the second times decoding and nothing else. Its step 0
 * gives each prompt's first token. With `held` only the second plan is to be run.
 */
export function decodePlans(work: Work): { enter: PlanBody; decode: PlanBody } {
  const { prompts, tokens, chunk, firstBurst } = work;
  const id = (slot: number): bigint => firstBurst + BigInt(slot);
  const chunks = prompts.flatMap((prompt, slot) =>
    cut(prompt.slice(0, -1), chunk).map(
      (part): PrefillChunk => ({ burst: id(slot), slot, ...part, sample: false }),
    ),
  );
  const rows = prompts.map((prompt, slot) => ({
    burst: id(slot),
    slot,
    forcedStart: prompt.length - 1,
    forced: prompt.slice(-1),
    sample: true,
  }));
  return {
    enter: {
      steps: chunks.length,
      gatherUs: 0,
      copies: [],
      saves: [],
      writes: [],
      reads: [],
      binds: binds(work),
      rows: [],
      chunks,
    },
    decode: {
      steps: tokens,
      gatherUs: 0,
      copies: [],
      saves: [],
      writes: [],
      reads: [],
      binds: work.held ? binds(work) : [],
      rows,
      chunks: [],
    },
  };
}

/** One plan for everything: a chunk a step beside whatever decodes already, to the last token. */
export function wholePlan(work: Work): PlanBody {
  const { prompts, tokens, chunk, firstBurst } = work;
  const chunks = prompts.flatMap((prompt, slot) =>
    cut(prompt, chunk).map(
      (part): PrefillChunk => ({
        burst: firstBurst + BigInt(slot),
        slot,
        ...part,
        sample: part.start + part.tokens.length === prompt.length,
      }),
    ),
  );
  const steps = chunks.length + tokens;
  return {
    steps,
    gatherUs: 0,
    copies: [],
    saves: [],
    writes: [],
    reads: [],
    binds: binds(work),
    rows: [],
    chunks,
  };
}

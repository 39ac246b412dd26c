/** What the kernel asks of the sampler: the sampling fields of a Burst, checked. */
import { ContixError } from "../../../proto/errno.js";
import type { Burst } from "../../../proto/gen/contix/driver/v1/llm.js";

export interface SamplingParams {
  /** 0: greedy. */
  readonly temperature: number;
  /** 0: off. */
  readonly topK: number;
  /** (0, 1]; 1: off. */
  readonly topP: number;
  /** [0, 1); 0: off. */
  readonly minP: number;
  /** > 0; 1: off. Divides positive logits and multiplies negative ones. */
  readonly repetitionPenalty: number;
  /** Subtracted from logits; 0: off. */
  readonly presencePenalty: number;
  /** u64. */
  readonly seed: bigint;
}

type Fields = Pick<
  Burst,
  "temperature" | "topK" | "topP" | "minP" | "repetitionPenalty" | "presencePenalty" | "seed"
>;

/**
 * The checked parameters of a burst. A protobuf field that was not set reads 0, which
 * no top_p and no repetition_penalty can be: it means off. Throws EINVAL naming the field.
 */
export function samplingParams(burst: Fields): SamplingParams {
  const { temperature, minP, presencePenalty, seed } = burst;
  const topK = burst.topK;
  const topP = burst.topP === 0 ? 1 : burst.topP;
  const repetitionPenalty = burst.repetitionPenalty === 0 ? 1 : burst.repetitionPenalty;
  check("temperature", temperature, temperature >= 0, "0 or more");
  check("top_k", topK, topK >= 0 && Number.isInteger(topK), "a whole number, 0 or more");
  check("top_p", topP, topP > 0 && topP <= 1, "in (0, 1]");
  check("min_p", minP, minP >= 0 && minP < 1, "in [0, 1)");
  check("repetition_penalty", repetitionPenalty, repetitionPenalty > 0, "above 0");
  check("presence_penalty", presencePenalty, true, "a finite number");
  if (BigInt.asUintN(64, seed) !== seed) {
    throw new ContixError("EINVAL", `seed is ${seed}; it must be a uint64`, { argument: "seed" });
  }
  return { temperature, topK, topP, minP, repetitionPenalty, presencePenalty, seed };
}

function check(argument: string, value: number, ok: boolean, want: string): void {
  if (ok && Number.isFinite(value)) return;
  throw new ContixError("EINVAL", `${argument} is ${value}; it must be ${want}`, { argument });
}

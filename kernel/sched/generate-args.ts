/** What llm.generate may be asked for. */
import { ContixError } from "../../proto/errno.js";
import type { Sampling } from "../../proto/gen/contix/v1/calls.js";
import { inRange, notEmpty } from "../args.js";
import { u64 } from "../clock.js";
import type { Kernel } from "../kernel.js";
import type { SamplingSpec } from "./burst.js";

/**
 * What a caller gets who asks for nothing: min-p keeps a small model from its wildest
 * tokens, and spares the sampler most of the vocabulary.
 */
const DEFAULTS = { temperature: 0.7, minP: 0.05 };

/** The sampling in full. EINVAL names what is out of its range. */
export function checkSampling(kernel: Kernel, s: Sampling | undefined): SamplingSpec {
  const top = { k: s?.topK ?? 0, p: s?.topP ?? 1 };
  if (!(top.p > 0 && top.p <= 1)) {
    throw new ContixError("EINVAL", `top_p is ${top.p}; it must be above 0 and at most 1`, {
      argument: "top_p",
    });
  }
  return {
    temperature: inRange("temperature", s?.temperature ?? DEFAULTS.temperature, 0, 2),
    topK: top.k,
    topP: top.p,
    minP: inRange("min_p", s?.minP ?? DEFAULTS.minP, 0, 0.999_999),
    repetitionPenalty: inRange("repetition_penalty", s?.repetitionPenalty ?? 1, 0.01, 100),
    presencePenalty: inRange("presence_penalty", s?.presencePenalty ?? 0, -2, 2),
    seed: s?.seed ?? u64(kernel.random),
  };
}

/** EINVAL for too many, too long or empty ones. */
export function checkStops(kernel: Kernel, stops: readonly string[]): void {
  const { stopStrings, stopLength } = kernel.config.limits;
  inRange("the number of stop strings", stops.length, 0, stopStrings);
  for (const stop of stops) {
    notEmpty("stop", stop);
    if (stop.length > stopLength) {
      throw new ContixError(
        "EINVAL",
        `a stop string of ${stop.length} characters; at most ${stopLength}`,
        { argument: "stop" },
      );
    }
  }
}

/** The most likely tokens that are told of beside each generated one: OpenAI's bound. */
const MOST_LIKELY = 20;

/** EINVAL for more likely tokens than are told of. */
export function checkLogprobs(likely: number | undefined): void {
  if (likely !== undefined) inRange("logprobs", likely, 0, MOST_LIKELY);
}

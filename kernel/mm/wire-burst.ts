/** A burst as the driver hears of it. */
import type { Burst as WireBurst } from "../../proto/gen/contix/driver/v1/llm.js";
import type { Burst } from "../sched/burst.js";

/** `binding`: the name of this binding of it to a slot. */
export function wireBurst(binding: bigint, burst: Burst): WireBurst {
  const { genStart, maxTokens, sampling, stop, ignoreEos, logprobs } = burst.spec;
  const ends = { maxTokens, stop: [...stop], ignoreEos };
  return { id: binding, genStart, ...ends, ...sampling, logprobs };
}

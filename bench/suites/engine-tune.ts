/** Finds the way in which node-llama-cpp is fastest: what we are held against. */
import { type LlamaEngine, type LlamaPull, type LlamaTuning, medianStep } from "./engine-sides.js";

/** The contexts that are tried for decoding. */
const CONTEXTS: readonly LlamaTuning[] = [
  { flashAttention: false },
  { flashAttention: true },
  { flashAttention: true, kv: "Q8_0" },
  { flashAttention: false, kv: "F32" },
];

/** The contexts that are tried for a prompt. */
const PROMPT_CONTEXTS: readonly LlamaTuning[] = [
  { flashAttention: false, batchSize: 512 },
  { flashAttention: true, batchSize: 512 },
  { flashAttention: false, batchSize: 128 },
  { flashAttention: true, batchSize: 128 },
];

/** Steps of a trial: enough to see which way is faster. */
const TRIAL_STEPS = 12;

export interface BestDecode {
  readonly tuning: LlamaTuning;
  readonly pull: LlamaPull;
}

/**
 * Tries every context and every way to pull, and opens the best context again.
 * @param tokens of a sequence, prompt and steps
 */
export async function tuneDecode(
  engine: LlamaEngine,
  prompts: readonly number[][],
  tokens: number,
): Promise<BestDecode> {
  const pulls: LlamaPull[] =
    prompts.length === 1 ? ["free", "controlled"] : ["lockstep", "controlled", "free"];
  const steps = Math.min(TRIAL_STEPS, tokens - (prompts[0]?.length ?? 0) - 2);
  let best: BestDecode & { ms: number } = {
    tuning: {},
    pull: "free",
    ms: Number.POSITIVE_INFINITY,
  };
  for (const tuning of CONTEXTS) {
    await engine.open(prompts.length, tokens, tuning);
    for (const pull of pulls) {
      const ms = medianStep(await engine.decode(prompts, steps, pull));
      if (ms < best.ms) best = { tuning, pull, ms };
    }
  }
  await engine.open(prompts.length, tokens, best.tuning);
  return best;
}

/** Tries every context on the prompt, and opens the best again. */
export async function tunePrefill(
  engine: LlamaEngine,
  prompt: readonly number[],
): Promise<LlamaTuning> {
  let best: { tuning: LlamaTuning; seconds: number } = {
    tuning: {},
    seconds: Number.POSITIVE_INFINITY,
  };
  const open = (tuning: LlamaTuning) => engine.open(1, prompt.length + 2, tuning);
  for (const tuning of PROMPT_CONTEXTS) {
    await open(tuning);
    await engine.prefill(prompt);
    const seconds = await engine.prefill(prompt);
    if (seconds < best.seconds) best = { tuning, seconds };
  }
  await open(best.tuning);
  return best.tuning;
}

/** A tuning in a few words. */
export function words({ flashAttention, kv, batchSize }: LlamaTuning, pull?: LlamaPull): string {
  const parts = [pull, flashAttention ? "flash" : "no flash", kv && `${kv} KV`];
  return [...parts, batchSize && `batches of ${batchSize}`].filter(Boolean).join(", ");
}

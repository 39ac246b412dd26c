/**
 * The parameters that chat and text completions share. Each is one of three kinds:
 *
 * - supported: it does what OpenAI's documentation says, within the kernel's bounds;
 * - neutral only: the kernel can not do it, and leaving it out would change the answer; so
 *   only the value that asks for nothing is taken, and any other is a 400 that names it;
 * - ignored: it changes no answer (who asks, how it is billed, stored or routed).
 *
 * A name that is in none of these is a 400 too. Every parameter may be null.
 */
import { z } from "zod";
import type { GenerateOptions } from "../../syscalls/index.js";

/** A parameter that is taken only where it asks for nothing. */
export function neutral(isNeutral: (value: unknown) => boolean) {
  return z
    .unknown()
    .refine((value) => value === null || isNeutral(value), {
      error: "this is not supported",
      params: { code: "unsupported_parameter" },
    })
    .optional();
}

export const isEmpty = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.keys(value).length === 0;
export const is =
  (...values: readonly unknown[]) =>
  (value: unknown): boolean =>
    values.includes(value);

const ignored = z.unknown().optional();
const number = z.number().nullish();
const count = z.int().min(1).nullish();

/** Longer names name no model. */
const MODEL_LENGTH = 256;

export const SHARED = {
  model: z.string({ error: "name a model; GET /v1/models lists them" }).min(1).max(MODEL_LENGTH),
  max_tokens: count,
  temperature: number,
  top_p: number,
  stop: z
    .union([z.string(), z.array(z.string())], { error: "a string or a list of strings" })
    .nullish(),
  seed: z.int().nullish(),
  n: count,
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({
      include_usage: z.boolean().nullish(),
      /** Padding against observers of sizes; the text is the same. */
      include_obfuscation: z.boolean().nullish(),
    })
    .nullish(),
  presence_penalty: number,
  // Beyond OpenAI's, by the names that other servers gave them.
  top_k: z.int().min(0).nullish(),
  min_p: number,
  repetition_penalty: number,
  ignore_eos: z.boolean().nullish(),

  frequency_penalty: neutral(is(0)),
  logit_bias: neutral(isEmpty),

  user: ignored,
  metadata: ignored,
  safety_identifier: ignored,
  prompt_cache_key: ignored,
  prompt_cache_retention: ignored,
  service_tier: ignored,
  store: ignored,
};

const Shared = z.object(SHARED);
export type SharedBody = z.output<typeof Shared>;

/** How the kernel is asked for choice `index`; each choice draws from a seed of its own. */
export function generateOptions(body: SharedBody, index: number): GenerateOptions {
  const given = <T>(value: T | null | undefined): T | undefined => value ?? undefined;
  return {
    model: body.model,
    maxTokens: given(body.max_tokens),
    temperature: given(body.temperature),
    topP: given(body.top_p),
    topK: given(body.top_k),
    minP: given(body.min_p),
    repetitionPenalty: given(body.repetition_penalty),
    presencePenalty: given(body.presence_penalty),
    ignoreEos: given(body.ignore_eos),
    stop: given(body.stop),
    seed: seedOf(body.seed, index),
  };
}

/** OpenAI's seeds are signed, the kernel's are not; the first choice has the seed itself. */
function seedOf(seed: number | null | undefined, index: number): bigint | undefined {
  if (seed === null || seed === undefined) return undefined;
  return BigInt.asUintN(64, BigInt(seed) + BigInt(index));
}

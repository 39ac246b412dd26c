/** The body of /v1/completions. */
import { z } from "zod";
import type { Tokens } from "../../syscalls/index.js";
import { is, neutral, SHARED } from "./parameters.js";

const TokenIds = z.array(z.int().min(0)).min(1);
const Prompt = z.union(
  [z.string(), TokenIds, z.array(z.string()).min(1), z.array(TokenIds).min(1)],
  {
    error: "a string, a list of token ids, or a list of these",
  },
);

/** What OpenAI's API generates when nobody says how much. */
const MAX_TOKENS = 16;

export const CompletionBody = z.strictObject({
  ...SHARED,
  prompt: Prompt,
  max_tokens: z
    .int()
    .min(1)
    .nullish()
    .transform((value) => value ?? MAX_TOKENS),

  best_of: neutral(is(1)),
  echo: neutral(is(false)),
  // Likeliest tokens to tell of beside each one. Some clients say false for none.
  logprobs: z
    .union([z.literal(false), z.int().min(0).max(20)], { error: "a whole number, 0 to 20" })
    .nullish()
    .transform((value) => (typeof value === "number" ? value : undefined)),
  suffix: neutral(is("")),
});
export type CompletionBody = z.output<typeof CompletionBody>;

/** Its prompts, one or many. */
export function promptsOf({ prompt }: CompletionBody): (string | Tokens)[] {
  if (typeof prompt === "string") return [prompt];
  const [first] = prompt;
  if (typeof first === "number") return [{ tokens: prompt as number[] }];
  return (prompt as (string | number[])[]).map((one) =>
    typeof one === "string" ? one : { tokens: one },
  );
}

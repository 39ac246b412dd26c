/** The body of /v1/chat/completions. */
import { z } from "zod";
import type { Message } from "../../syscalls/index.js";
import { ApiError } from "./errors.js";
import { is, isEmpty, neutral, SHARED } from "./parameters.js";

const Part = z.strictObject({
  type: z.literal("text", { error: "only parts of type text are supported" }),
  text: z.string(),
});

/** The text of a turn: a string, or its parts joined. */
const Content = z.unknown().transform((value, context): string => {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) {
    context.addIssue({ code: "custom", message: "a string or a list of parts of type text" });
    return z.NEVER;
  }
  let text = "";
  for (const [i, item] of value.entries()) {
    const part = Part.safeParse(item);
    if (part.success) text += part.data.text;
    else {
      const [issue] = part.error.issues;
      const message = issue?.message ?? "no part";
      context.addIssue({ code: "custom", message, path: [i, ...(issue?.path ?? [])] });
      return z.NEVER;
    }
  }
  return text;
});

/** What a message may carry besides; what the template does not show changes nothing. */
const NAMES = { name: z.unknown().optional() };

const Turn = z.discriminatedUnion(
  "role",
  [
    z.strictObject({ role: z.literal(["system", "user"]), content: Content, ...NAMES }),
    // What newer models call their system turn.
    z.strictObject({ role: z.literal("developer"), content: Content, ...NAMES }),
    z.strictObject({
      role: z.literal("assistant"),
      content: Content,
      ...NAMES,
      refusal: neutral(is("")),
      audio: neutral(isEmpty),
      tool_calls: neutral(isEmpty),
      function_call: neutral(isEmpty),
      // What reasoning models and this gateway's own answers have beside the text.
      annotations: neutral(isEmpty),
    }),
  ],
  { error: "the role is one of system, developer, user, assistant" },
);

export const ChatBody = z.strictObject({
  ...SHARED,
  messages: z.array(Turn).min(1),
  max_completion_tokens: z.int().min(1).nullish(),

  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  response_format: neutral(
    (value) => isEmpty(value) || (value as { type?: unknown }).type === "text",
  ),
  tools: neutral(isEmpty),
  tool_choice: neutral(is("none", "auto")),
  functions: neutral(isEmpty),
  function_call: neutral(is("none", "auto")),
  modalities: neutral((value) => Array.isArray(value) && value.every(is("text"))),
  audio: neutral(isEmpty),
  reasoning_effort: neutral(is("none")),
  verbosity: neutral(is("medium")),
  web_search_options: neutral(is()),

  parallel_tool_calls: z.unknown().optional(),
  /** A guess of the answer, to be faster. */
  prediction: z.unknown().optional(),
});
export type ChatBody = z.output<typeof ChatBody>;

/** The conversation as the kernel takes it. */
export function messagesOf(body: ChatBody): Message[] {
  return body.messages.map(({ role, content }) => ({
    role: role === "developer" ? "system" : role,
    content,
  }));
}

/** Likeliest tokens to tell of beside each one; undefined: no log probabilities are asked for. */
export function logprobsOf({ logprobs, top_logprobs }: ChatBody): number | undefined {
  const most = top_logprobs ?? 0;
  if (logprobs === true) return most;
  if (most === 0) return undefined;
  throw new ApiError(400, "top_logprobs: logprobs must be true with it", {
    param: "top_logprobs",
    code: "invalid_value",
  });
}

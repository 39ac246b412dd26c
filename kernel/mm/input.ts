/**
 * What callers append, as tokens. Text becomes tokens once, at the text server;
 * a context is extended, never rendered again, so ids make no round trip.
 */
import { ContixError } from "../../proto/errno.js";
import { ChatTail, type TextRequest } from "../../proto/gen/contix/driver/v1/llm.js";
import type { CtxAppendCall } from "../../proto/gen/contix/v1/calls.js";
import type { Engine } from "../engines/engine.js";
import type { Context } from "../journal/journal.js";
import type { Tail } from "../journal/records.js";

/** Text, messages or tokens, as the ABI carries them. */
export type Input =
  | NonNullable<CtxAppendCall["input"]>
  | { $case: "prompt"; value: string }
  | undefined;

export interface Tokenized {
  readonly tokens: readonly number[];
  readonly tail: Tail;
}

/** The tokens that `input` adds to `context`, and what then stands at its end. EINVAL. */
export async function tokenizeInput(
  engine: Engine,
  context: Context,
  input: Input,
): Promise<Tokenized> {
  if (!input) return { tokens: [], tail: context.tail };
  if (input.$case === "tokens") {
    checkWindow(engine, context, input.value.ids.length);
    checkIds(input.value.ids, engine.ready.vocab);
    return { tokens: input.value.ids, tail: "text" };
  }
  if (input.$case === "chat") {
    checkMessages(engine, input.value.messages);
    checkTextFits(
      engine,
      input.value.messages.reduce((sum, { content }) => sum + content.length, 0),
    );
    const tokens = await chatTokens(engine, context, input.value.messages, false);
    return { tokens, tail: "closed" };
  }
  const start = context.tail === "empty";
  if (input.value === "") return { tokens: [], tail: context.tail };
  checkTextFits(engine, input.value.length);
  const what = { $case: "encode" as const, value: { text: input.value, special: false, start } };
  return { tokens: await engine.driver.text(what), tail: "text" };
}

/** The tokens that open the assistant's turn after `messages`. */
export function chatTokens(
  engine: Engine,
  context: Pick<Context, "tokens" | "tail">,
  messages: { role: string; content: string }[],
  generationPrompt: boolean,
): Promise<number[]> {
  const lastToken = context.tokens.at(-1) ?? 0;
  const value = { messages, tail: chatTail(context.tail), generationPrompt, lastToken };
  return engine.driver.text({ $case: "chat", value } satisfies TextRequest["what"]);
}

function chatTail(tail: Tail): ChatTail {
  if (tail === "empty") return ChatTail.EMPTY;
  return tail === "assistant" ? ChatTail.ASSISTANT : ChatTail.CLOSED;
}

function checkIds(ids: readonly number[], vocab: number): void {
  const wrong = ids.findIndex((id) => id >= vocab);
  if (wrong >= 0) {
    throw new ContixError(
      "EINVAL",
      `tokens[${wrong}] is ${ids[wrong]}; the vocabulary has ${vocab} tokens`,
      {
        argument: "tokens",
      },
    );
  }
}

function checkMessages(engine: Engine, messages: readonly { role: string }[]): void {
  if (!engine.ready.chat) {
    throw new ContixError(
      "EINVAL",
      `the model ${engine.model} has no chat template; use a prompt`,
      {
        argument: "chat",
      },
    );
  }
  if (messages.length === 0) {
    throw new ContixError("EINVAL", "messages is empty", { argument: "messages" });
  }
  const wrong = messages.find((m) => !["system", "user", "assistant"].includes(m.role));
  if (wrong) {
    throw new ContixError("EINVAL", `role "${wrong.role}" is none of system, user, assistant`, {
      argument: "role",
    });
  }
}

/** No token stands for more characters than this: a longer text need not be tokenized to be refused. */
const TOKEN_CHARACTERS = 256;

function checkTextFits(engine: Engine, characters: number): void {
  const window = engine.ready.slotTokens;
  if (characters <= window * TOKEN_CHARACTERS) return;
  const what = `a text of ${characters} characters is over the window, which holds ${window} tokens`;
  throw new ContixError("ENOMEM", what, { argument: "input" });
}

/** ENOMEM, with both numbers, when `tokens` more would leave no room for an answer. */
export function checkWindow(
  engine: Engine,
  context: Pick<Context, "tokens">,
  tokens: number,
): void {
  const window = engine.ready.slotTokens;
  const length = context.tokens.length + tokens;
  if (length + 1 > window) {
    const what = `${length} tokens are over the window: it holds ${window}, with at least one for the answer; give less, or truncate the context`;
    throw new ContixError("ENOMEM", what, { argument: "input" });
  }
}

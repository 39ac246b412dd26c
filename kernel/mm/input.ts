/**
 * What callers append, as tokens. Text becomes tokens once, at the text server;
 * a context is extended, never rendered again, so ids make no round trip.
 */
import { ContixError } from "../../proto/errno.js";
import {
  ChatTail,
  type TextReply,
  type TextRequest,
} from "../../proto/gen/contix/driver/v1/llm.js";
import type { CtxAppendCall } from "../../proto/gen/contix/v1/calls.js";
import type { Engine } from "../engines/engine.js";
import type { Tail } from "../journal/records.js";
import { type Ending, type Tokenized, tooLong } from "./overflow/pager.js";
import { checkKind, type Marks, messageParts } from "./overflow/parts.js";
import { plainPart } from "./overflow/segments.js";

/** Text, messages or tokens, as the ABI carries them. */
export type Input =
  | NonNullable<CtxAppendCall["input"]>
  | { $case: "prompt"; value: string }
  | undefined;

/** The tokens that `input` adds to `context`, and what then stands at its end. EINVAL. */
export async function tokenizeInput(
  engine: Engine,
  context: Ending,
  input: Input,
  marks: Marks = {},
): Promise<Tokenized> {
  if (!input) return { tokens: [], tail: context.tail };
  const plain = (tokens: readonly number[]): Tokenized => {
    const part = plainPart(tokens.length);
    return { tokens, tail: "text", parts: [{ ...part, ...checkKind(marks, part) }] };
  };
  if (input.$case === "tokens") {
    checkWindow(engine, input.value.ids.length, context.tokens.length);
    checkIds(input.value.ids, engine.ready.vocab);
    return plain(input.value.ids);
  }
  if (input.$case === "chat") {
    checkMessages(engine, input.value.messages);
    checkTextFits(
      engine,
      input.value.messages.reduce((sum, { content }) => sum + content.length, 0),
    );
    const { messages } = input.value;
    const { tokens, ends } = await chatAnswer(engine, context, messages, false);
    const parts = messageParts(messages, tokens.length, ends, context.tail, marks);
    return { tokens, tail: "closed", parts };
  }
  const start = context.tail === "empty";
  if (input.value === "") return { tokens: [], tail: context.tail };
  checkTextFits(engine, input.value.length);
  const what = { $case: "encode" as const, value: { text: input.value, special: false, start } };
  return plain(await engine.driver.text(what));
}

/** The tokens that open the assistant's turn. */
export async function openingTokens(engine: Pick<Engine, "driver">): Promise<number[]> {
  return (await chatAnswer(engine, { tokens: [], tail: "closed" }, [], true)).tokens;
}

/** The tokens that close the assistant's turn at the end of `context`; none: no turn is open. */
export async function closingTokens(
  engine: Pick<Engine, "driver">,
  context: Ending,
): Promise<number[]> {
  if (context.tail !== "assistant") return [];
  const { tokens, ends } = await chatAnswer(engine, context, [], true);
  return tokens.slice(0, ends[0] ?? 0);
}

function chatAnswer(
  engine: Pick<Engine, "driver">,
  context: Ending,
  messages: { role: string; content: string }[],
  generationPrompt: boolean,
): Promise<TextReply> {
  const lastToken = context.tokens.at(-1) ?? 0;
  const value = { messages, tail: chatTail(context.tail), generationPrompt, lastToken };
  return engine.driver.ask({ $case: "chat", value } satisfies TextRequest["what"]);
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

/** ENOMEM, with both numbers, when `tokens`, after `before` others, could never have room beside an answer. */
export function checkWindow(engine: Pick<Engine, "ready">, tokens: number, before = 0): void {
  const window = engine.ready.slotTokens;
  if (tokens + 1 > window) throw tooLong(before + tokens, window);
}

/** No token stands for more characters than this: a longer text need not be tokenized to be refused. */
const TOKEN_CHARACTERS = 256;

function checkTextFits(engine: Engine, characters: number): void {
  const window = engine.ready.slotTokens;
  if (characters <= window * TOKEN_CHARACTERS) return;
  const what = `a text of ${characters} characters is over the window, which holds ${window} tokens`;
  throw new ContixError("ENOMEM", what, { argument: "input" });
}

/** The input of a generation or an append, from the surface to the wire. */
import type { GenerateCall, Message as WireMessage } from "../proto/gen/contix/v1/calls.js";
import { checkCount, checkText } from "./check.js";

/** One turn of a conversation. */
export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** A conversation: its turns, one turn, or the text of a user's turn. */
export type Chat = string | Message | readonly Message[];

/** Token ids of the model, as `os.llm.tokenize` gives them. */
export interface Tokens {
  readonly tokens: readonly number[];
}

type WireInput = Exclude<GenerateCall["input"], undefined>;
export type WireChat = Extract<WireInput, { $case: "chat" }>;
export type WireTokens = Extract<WireInput, { $case: "tokens" }>;

/** The chat of the wire; a TypeError names what is no message. */
export function toChat(chat: Chat): WireChat {
  const turns: readonly unknown[] = Array.isArray(chat) ? chat : [chat];
  return { $case: "chat", value: { messages: turns.map(toMessage) } };
}

function toMessage(turn: unknown, i: number): WireMessage {
  if (typeof turn === "string") return { role: "user", content: checkText("message", turn) };
  const { role, content } = (turn ?? {}) as Partial<Message>;
  return {
    role: checkText(`messages[${i}].role`, role),
    content: checkText(`messages[${i}].content`, content),
  };
}

/** Whether `input` is given as token ids. */
export function isTokens(input: unknown): input is Tokens {
  return typeof input === "object" && input !== null && "tokens" in input;
}

/** The tokens of the wire. */
export function toTokens(input: Tokens): WireTokens {
  const tokens: unknown = input.tokens;
  if (!Array.isArray(tokens)) throw new TypeError("tokens: expected an array of token ids");
  const ids = tokens.map((id, i) => checkCount(`tokens[${i}]`, id));
  return { $case: "tokens", value: { ids } };
}

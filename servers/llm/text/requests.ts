/**
 * Answers the kernel's text requests with what every text server has: tokens for text
 * and for messages, and text for tokens.
 */
import { ContixError } from "../../../proto/errno.js";
import {
  ChatTail,
  type DecodeTokens,
  type EncodeChat,
  type TextReply,
  type TextRequest,
} from "../../../proto/gen/contix/driver/v1/llm.js";
import type { Message } from "../../../proto/gen/contix/v1/calls.js";
import { askText, queryForms, stubText } from "./notes.js";
import type { TextServer } from "./server.js";

export type TextAnswer = Pick<TextReply, "tokens" | "ends" | "texts">;

const PLAIN = { special: false, start: false };

/** The answer to a request. EPROTO for one of an unknown kind; else as the text server says. */
export async function answerText(
  text: TextServer,
  { what }: Pick<TextRequest, "what">,
): Promise<TextAnswer> {
  switch (what?.$case) {
    case "encode":
      return ofTokens(await text.encode(what.value.text, what.value));
    case "chat":
      return encodeChat(text, what.value);
    case "decode":
      return { tokens: [], ends: [], texts: decode(text, what.value) };
    case "stub": {
      const note = stubText(what.value, whole(text, what.value.head));
      return ofTokens(await encodeNote(text, note, what.value));
    }
    case "query":
      return encodeForms(text, queryForms(what.value.text));
    case "ask":
      return ofTokens(await encodeNote(text, askText(), { ...what.value, start: false }, true));
    default:
      throw new ContixError("EPROTO", "a text request of an unknown kind");
  }
}

const ofTokens = (tokens: number[]): TextAnswer => ({ tokens, ends: [], texts: [] });

/** Each stretch by itself: a character that a cut went through is U+FFFD. */
function decode(text: TextServer, { tokens, ends }: DecodeTokens): string[] {
  return ends.map((end, i) => whole(text, tokens.slice(ends[i - 1] ?? 0, end)));
}

function whole(text: TextServer, tokens: readonly number[]): string {
  const detokenizer = text.detokenizer();
  return tokens.map((token) => detokenizer.push(token)).join("") + detokenizer.flush();
}

/**
 * A note is a user's turn, or plain text on lines of its own. A user's, because that is
 * the one role that every template takes anywhere after anything.
 */
function encodeNote(
  text: TextServer,
  note: string,
  { turn, start }: { readonly turn: boolean; readonly start: boolean },
  generationPrompt = false,
): Promise<number[]> {
  if (!turn) return text.encode(start ? `${note}\n` : `\n${note}\n`, { special: false, start });
  const tail = start ? ChatTail.EMPTY : ChatTail.CLOSED;
  const options = { generationPrompt, lastToken: 0 };
  return text.encodeChat([{ role: "user", content: note }], tail, options);
}

async function encodeForms(text: TextServer, forms: readonly string[]): Promise<TextAnswer> {
  const tokens: number[] = [];
  const ends: number[] = [];
  for (const encoded of await Promise.all(forms.map((form) => text.encode(form, PLAIN)))) {
    for (const token of encoded) tokens.push(token);
    ends.push(tokens.length);
  }
  return { tokens, ends, texts: [] };
}

async function encodeChat(text: TextServer, request: EncodeChat): Promise<TextAnswer> {
  const { messages, tail } = request;
  const tokens = await text.encodeChat(messages, tail, request);
  return { tokens, ends: await partsOf(text, request, tokens), texts: [] };
}

/**
 * Where in `tokens` that which stands before the messages ends, then each message. Each
 * message is rendered alone, behind what came before; if the pieces, one behind the
 * other, are the whole, they are its parts. A template that can not write some message
 * alone (one that puts the system prompt into the user's turn) or writes it in another
 * way has those messages in one part.
 */
async function partsOf(
  text: TextServer,
  { messages, tail, lastToken, generationPrompt }: EncodeChat,
  tokens: readonly number[],
): Promise<number[]> {
  const before = await beforeAll(text, messages, tail, lastToken).catch(() => []);
  const ends = [matches(tokens, 0, before) ? before.length : 0];
  const opening = generationPrompt ? (await openingOf(text)).length : 0;
  const last = tokens.length - opening;
  for (const message of messages.slice(0, -1)) {
    const at = ends.at(-1) ?? 0;
    const first = at === 0 && tail === ChatTail.EMPTY;
    const piece = await alone(text, message, first ? tail : ChatTail.CLOSED);
    const fits = piece.length > 0 && at + piece.length < last && matches(tokens, at, piece);
    ends.push(fits ? at + piece.length : at);
  }
  if (messages.length > 0) ends.push(last);
  return joined(ends);
}

/** A part without tokens is one with the part behind it: both end where that does. */
function joined([closing = 0, ...ends]: number[]): number[] {
  const out = [...ends];
  for (let i = out.length - 2; i >= 0; i--) {
    const begins = out[i - 1] ?? closing;
    if (out[i] === begins) out[i] = out[i + 1] ?? begins;
  }
  return [closing, ...out];
}

/** What stands before the first message: the end of the turn before, or what begins a context. */
async function beforeAll(
  text: TextServer,
  messages: readonly Message[],
  tail: ChatTail,
  lastToken: number,
): Promise<number[]> {
  if (tail === ChatTail.ASSISTANT) return closingOf(text, lastToken);
  const [message] = messages;
  if (tail !== ChatTail.EMPTY || !message || message.role === "system") return [];
  // Many templates begin with a system prompt of their own when they are given none.
  const [first, later] = await Promise.all([
    alone(text, message, ChatTail.EMPTY),
    alone(text, message, ChatTail.CLOSED),
  ]);
  const at = first.length - later.length;
  return at > 0 && matches(first, at, later) ? first.slice(0, at) : [];
}

async function alone(text: TextServer, message: Message, tail: ChatTail): Promise<number[]> {
  const options = { generationPrompt: false, lastToken: 0 };
  return text.encodeChat([message], tail, options).catch(() => []);
}

function openingOf(text: TextServer): Promise<number[]> {
  return text.encodeChat([], ChatTail.CLOSED, { generationPrompt: true, lastToken: 0 });
}

/** What ends an assistant's turn that ends with `lastToken`. */
async function closingOf(text: TextServer, lastToken: number): Promise<number[]> {
  const options = { generationPrompt: true, lastToken };
  const both = await text.encodeChat([], ChatTail.ASSISTANT, options);
  return both.slice(0, both.length - (await openingOf(text)).length);
}

function matches(tokens: readonly number[], at: number, piece: readonly number[]): boolean {
  return piece.every((token, i) => tokens[at + i] === token);
}

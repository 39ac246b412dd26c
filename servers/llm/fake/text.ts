/** The fake model's text server: bytes are tokens, turns are written as ChatML. */
import { ContixError } from "../../../proto/errno.js";
import { ChatTail } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { Message } from "../../../proto/gen/contix/v1/calls.js";
import { ByteDetokenizer } from "../text/detokenizer.js";
import type { Detokenizer, TextServer } from "../text/server.js";
import { END_OF_TEXT, SPECIAL, TOKEN_BYTES, TURN_END, TURN_START } from "./vocabulary.js";

type EncodeOptions = Parameters<TextServer["encode"]>[1];
type ChatOptions = Parameters<TextServer["encodeChat"]>[2];

const ROLES = ["system", "user", "assistant"];
const SPECIAL_IDS = new Map<string, number>(SPECIAL.map((token, i) => [token, END_OF_TEXT + i]));
const SPECIAL_IN_TEXT = /(<\|(?:endoftext|im_start|im_end)\|>)/;

const utf8 = new TextEncoder();
const bytes = (text: string): number[] => [...utf8.encode(text)];

export class FakeText implements TextServer {
  async encode(text: string, { special }: EncodeOptions): Promise<number[]> {
    if (!special) return bytes(text);
    return text.split(SPECIAL_IN_TEXT).flatMap((part) => {
      const id = SPECIAL_IDS.get(part);
      return id === undefined ? bytes(part) : [id];
    });
  }

  async encodeChat(
    messages: readonly Message[],
    tail: ChatTail,
    { generationPrompt, lastToken }: ChatOptions,
  ): Promise<number[]> {
    check(messages, tail, generationPrompt);
    const tokens: number[] = [];
    if (tail === ChatTail.ASSISTANT) {
      if (lastToken !== TURN_END) tokens.push(TURN_END);
      tokens.push(...bytes("\n"));
    }
    for (const { role, content } of messages) {
      tokens.push(TURN_START, ...bytes(`${role}\n`));
      for (const byte of bytes(content)) tokens.push(byte);
      tokens.push(TURN_END, ...bytes("\n"));
    }
    if (generationPrompt) tokens.push(TURN_START, ...bytes("assistant\n"));
    return tokens;
  }

  detokenizer(): Detokenizer {
    return new ByteDetokenizer(TOKEN_BYTES);
  }

  async close(): Promise<void> {}
}

function check(messages: readonly Message[], tail: ChatTail, prompt: boolean): void {
  if (messages.length === 0 && (tail === ChatTail.EMPTY || !prompt)) {
    throw new ContixError("EINVAL", "messages is empty; it must hold at least one", {
      argument: "messages",
    });
  }
  const odd = messages.find(({ role }) => !ROLES.includes(role));
  if (odd !== undefined) {
    throw new ContixError(
      "EINVAL",
      `role "${odd.role}" is unknown; this model's template takes ${ROLES.join(", ")}`,
      { argument: "role" },
    );
  }
}

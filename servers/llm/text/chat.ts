/**
 * Messages to tokens, to follow what a context already holds. A context is extended and
 * never rendered again: its tokens are kept as they are, and only the new messages are
 * rendered, behind a short exchange that stands for all that came before. What the
 * template writes for that exchange is then cut off.
 *
 * That is right only if the template writes each given turn once and for all, so it is
 * checked: what is appended is what the template writes for these messages when others
 * follow. A template that goes back over them is a typed error. Only an answer it may
 * write in another way once it is not the last (the ones that drop a chain of thought
 * do): an answer that was generated stays what it is, and one that is given is written
 * as it will be from then on.
 */
import { ContixError } from "../../../proto/errno.js";
import { ChatTail } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { Message } from "../../../proto/gen/contix/v1/calls.js";
import type { Place } from "./place.js";
import { chooseSentinel, Shield } from "./shield.js";
import type { ChatTemplate } from "./template.js";
import type { Tokenizer } from "./tokenizer.js";
import { ASKED, type Render, Turns } from "./turns.js";

export interface ChatOptions {
  /** Open the assistant's turn at the end. */
  readonly generationPrompt: boolean;
  /** With the tail ASSISTANT: the context's last token. */
  readonly lastToken: number;
}

/** What the encoder must know of the model. */
export interface ChatModel {
  readonly template: ChatTemplate;
  readonly tokenizer: Tokenizer;
  /** The special tokens as they are written. */
  readonly special: readonly string[];
  readonly eosIds: readonly number[];
  /** Put at the start of a context, unless the template does it. */
  readonly bosId: number | null;
}

const ROLES = ["system", "user", "assistant"];

export class ChatEncoder {
  readonly #model: ChatModel;
  readonly #shield: Shield;
  readonly #now: () => Date;

  /** `now`: the clock, for templates that write the date. */
  constructor(model: ChatModel, now: () => Date) {
    this.#model = model;
    this.#now = now;
    this.#shield = new Shield(model.special);
  }

  /**
   * The tokens that append `messages` to a context that ends as `tail` says.
   * @throws ContixError EINVAL for messages that the template does not take; EMODEL when
   *   the template can not extend a context
   */
  encode(messages: readonly Message[], tail: ChatTail, options: ChatOptions): number[] {
    const { template, tokenizer } = this.#model;
    const now = this.#now();
    const render: Render = (some, prompt) => template.render(some, prompt, now);
    this.#check(messages, tail, options.generationPrompt, render);
    const sentinel = chooseSentinel([template.source, ...messages.map(({ content }) => content)]);
    const covered = messages.map(({ role, content }) => ({
      role,
      content: this.#shield.cover(content, sentinel),
    }));
    const encode = (text: string, place: Place): number[] =>
      tokenizer.encode(text, { special: true, sentinel, place });
    const turns = new Turns(render);
    if (tail === ChatTail.EMPTY) {
      return this.#started(encode(turns.first(covered, options.generationPrompt), "start"));
    }
    const { before, text } = turns.next(covered, options.generationPrompt);
    if (tail === ChatTail.CLOSED) {
      return encode(text, tokenizer.placeAfter(encode(before, "start")));
    }
    const closing = turns.closing();
    const there = this.#alreadyThere(encode(closing, "text"), options.lastToken);
    return encode(closing + text, "text").slice(there);
  }

  /** How many tokens of `closing` the context has: all up to `lastToken`, when that ends turns. */
  #alreadyThere(closing: readonly number[], lastToken: number): number {
    return this.#model.eosIds.includes(lastToken) ? closing.indexOf(lastToken) + 1 : 0;
  }

  /** Begins the context as the model wants it. */
  #started(tokens: number[]): number[] {
    const { bosId } = this.#model;
    return bosId === null || tokens[0] === bosId ? tokens : [bosId, ...tokens];
  }

  #check(messages: readonly Message[], tail: ChatTail, prompt: boolean, render: Render): void {
    if (messages.length === 0 && (tail === ChatTail.EMPTY || !prompt)) {
      throw new ContixError("EINVAL", "messages is empty; it must hold at least one", {
        argument: "messages",
      });
    }
    const odd = messages.find(({ role }) => !ROLES.includes(role));
    if (odd === undefined) return;
    const takes = takesSystem(render) ? ROLES : ROLES.slice(1);
    throw new ContixError(
      "EINVAL",
      `role "${odd.role}" is unknown; this model's template takes ${takes.join(", ")}`,
      { argument: "role" },
    );
  }
}

function takesSystem(render: Render): boolean {
  try {
    render([{ role: "system", content: "Rule." }, ASKED], true);
    return true;
  } catch {
    return false;
  }
}

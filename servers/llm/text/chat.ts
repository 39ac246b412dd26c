/**
 * Messages to tokens, to follow what a context already holds. A context is extended and
 * never rendered again: its tokens are kept as they are, and only the new messages are
 * rendered, behind a short exchange that stands for all that came before. What the
 * template writes for that exchange is then cut off.
 *
 * That is right only if the template writes each turn once and for all, so it is checked:
 * the rendering with the new messages must begin with the one without them. A template
 * that goes back over earlier turns is a typed error.
 */
import { ContixError } from "../../../proto/errno.js";
import { ChatTail } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { Message } from "../../../proto/gen/contix/v1/calls.js";
import { chooseSentinel, Shield } from "./shield.js";
import type { ChatTemplate } from "./template.js";
import type { Tokenizer } from "./tokenizer.js";

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

/** The exchange that stands for all that came before. */
const ASKED: Message = { role: "user", content: "Question." };
const ANSWERED: Message = { role: "assistant", content: "Answer." };

export class ChatEncoder {
  readonly #model: ChatModel;
  readonly #shield: Shield;

  constructor(model: ChatModel) {
    this.#model = model;
    this.#shield = new Shield(model.special);
  }

  /**
   * The tokens that append `messages` to a context that ends as `tail` says.
   * @throws ContixError EINVAL for messages that the template does not take; EMODEL when
   *   the template can not extend a context
   */
  encode(
    messages: readonly Message[],
    tail: ChatTail,
    { generationPrompt, lastToken }: ChatOptions,
  ): number[] {
    this.#check(messages, tail, generationPrompt);
    const sentinel = chooseSentinel([
      this.#model.template.source,
      ...messages.map(({ content }) => content),
    ]);
    const covered = messages.map(({ role, content }) => ({
      role,
      content: this.#shield.cover(content, sentinel),
    }));
    const encode = (text: string): number[] =>
      this.#model.tokenizer.encode(text, { special: true, sentinel });
    if (tail === ChatTail.EMPTY)
      return this.#started(encode(this.#whole(covered, generationPrompt)));
    const extension = this.#behindTurns(covered, generationPrompt);
    if (tail === ChatTail.CLOSED) return encode(extension);
    const closing = this.#closing();
    return encode(closing + extension).slice(this.#alreadyThere(encode(closing), lastToken));
  }

  /** The text of `messages` at the start of a context. */
  #whole(messages: readonly Message[], prompt: boolean): string {
    const text = this.#model.template.render(messages, prompt);
    if (!prompt) this.#checkGoesOn(messages, text);
    return text;
  }

  /** The text of `messages` after whole turns. */
  #behindTurns(messages: readonly Message[], prompt: boolean): string {
    const { template } = this.#model;
    // Templates want the roles to take turns, and an answer to be asked for.
    const answers = (messages[0]?.role ?? "assistant") === "assistant";
    const before = answers ? [ASKED] : [ASKED, ANSWERED];
    return after(template.render(before, false), template.render([...before, ...messages], prompt));
  }

  /** What ends an assistant's turn, after its content. */
  #closing(): string {
    const { template } = this.#model;
    const open = template.render([ASKED], true) + ANSWERED.content;
    return after(open, template.render([ASKED, ANSWERED], false));
  }

  /** How many tokens of `closing` the context has: all up to `lastToken`, when that ends turns. */
  #alreadyThere(closing: readonly number[], lastToken: number): number {
    return this.#model.eosIds.includes(lastToken) ? closing.indexOf(lastToken) + 1 : 0;
  }

  /** Checks that what comes next will find `text`, the rendering of `messages`, as it is. */
  #checkGoesOn(messages: readonly Message[], text: string): void {
    const next = messages.at(-1)?.role === "user" ? ANSWERED : ASKED;
    const whole = this.#model.template.render([...messages, next], false);
    if (after(text, whole) !== this.#behindTurns([next], false)) throw rewrites();
  }

  /** Begins the context as the model wants it. */
  #started(tokens: number[]): number[] {
    const { bosId } = this.#model;
    return bosId === null || tokens[0] === bosId ? tokens : [bosId, ...tokens];
  }

  #check(messages: readonly Message[], tail: ChatTail, prompt: boolean): void {
    if (messages.length === 0 && (tail === ChatTail.EMPTY || !prompt)) {
      throw new ContixError("EINVAL", "messages is empty; it must hold at least one", {
        argument: "messages",
      });
    }
    const odd = messages.find(({ role }) => !ROLES.includes(role));
    if (odd === undefined) return;
    const takes = this.#takesSystem() ? ROLES : ROLES.slice(1);
    throw new ContixError(
      "EINVAL",
      `role "${odd.role}" is unknown; this model's template takes ${takes.join(", ")}`,
      { argument: "role" },
    );
  }

  #takesSystem(): boolean {
    try {
      this.#model.template.render([{ role: "system", content: "Rule." }, ASKED], true);
      return true;
    } catch {
      return false;
    }
  }
}

/** What follows `prefix` in `whole`. */
function after(prefix: string, whole: string): string {
  if (!whole.startsWith(prefix)) throw rewrites();
  return whole.slice(prefix.length);
}

function rewrites(): ContixError {
  return new ContixError(
    "EMODEL",
    "this model's chat template rewrites earlier turns, so a context can not be extended by " +
      "messages; give the whole conversation in one call",
    { argument: "messages" },
  );
}

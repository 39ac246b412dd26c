/** The text of turns, cut out of what a chat template writes for whole conversations. */
import { ContixError } from "../../../proto/errno.js";
import type { Message } from "../../../proto/gen/contix/v1/calls.js";

/** A template's rendering; with `prompt` it opens the assistant's turn at the end. */
export type Render = (messages: readonly Message[], prompt: boolean) => string;

// The exchange that stands for all that came before. The answer is one that no template
// has a word of: it is looked for in renderings.
export const ASKED: Message = { role: "user", content: "Question." };
const ANSWERED: Message = { role: "assistant", content: "Answer ZQX7302." };

export class Turns {
  readonly #render: Render;

  constructor(render: Render) {
    this.#render = render;
  }

  /** The text of `messages` at the start of a context. */
  first(messages: readonly Message[], prompt: boolean): string {
    return prompt ? this.#render(messages, true) : this.#followed([], messages);
  }

  /** The text of `messages` after whole turns, and of what stands for those. */
  next(messages: readonly Message[], prompt: boolean): { before: string; text: string } {
    const turns = earlier(messages);
    const before = this.#render(turns, false);
    if (prompt) return { before, text: this.#behind(turns, messages, true) };
    const whole = this.#followed(turns, messages);
    return { before, text: this.#cut(turns, whole) };
  }

  /** What ends an assistant's turn, after its content. */
  closing(): string {
    return afterAnswer(this.#render([ASKED, ANSWERED], false));
  }

  /** What the template writes for `turns` and `messages` when another turn follows. */
  #followed(turns: readonly Message[], messages: readonly Message[]): string {
    const next = messages.at(-1)?.role === "user" ? ANSWERED : ASKED;
    const whole = this.#render([...turns, ...messages, next], false);
    const last = this.#behind(earlier([next]), [next], false);
    if (!whole.endsWith(last)) throw rewrites();
    return whole.slice(0, whole.length - last.length);
  }

  #behind(turns: readonly Message[], messages: readonly Message[], prompt: boolean): string {
    return this.#cut(turns, this.#render([...turns, ...messages], prompt));
  }

  /** What follows `turns` in `whole`. */
  #cut(turns: readonly Message[], whole: string): string {
    // An answer may be written in another way when it is the last; its end may not.
    if (turns.length > 1) return after(this.closing(), afterAnswer(whole));
    return after(this.#render(turns, false), whole);
  }
}

/** Templates want the roles to take turns, and an answer to be asked for. */
function earlier(messages: readonly Message[]): readonly Message[] {
  return (messages[0]?.role ?? "assistant") === "assistant" ? [ASKED] : [ASKED, ANSWERED];
}

/** What follows the answer in `whole`. */
function afterAnswer(whole: string): string {
  const at = whole.indexOf(ANSWERED.content);
  if (at < 0) throw rewrites();
  return whole.slice(at + ANSWERED.content.length);
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

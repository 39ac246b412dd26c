/** A model's chat template: Jinja source that turns messages into the text it was trained on. */
import { Environment, Interpreter, Template } from "@huggingface/jinja";
import { ContixError } from "../../../proto/errno.js";
import type { Message } from "../../../proto/gen/contix/v1/calls.js";
import { strftime } from "./strftime.js";

/** What a template may name besides the messages. */
export interface TemplateVariables {
  readonly bos_token: string;
  readonly eos_token: string;
}

/** What a template says that has a date of its own where there is no clock. */
const ASKS_FOR_CLOCK = /\bstrftime_now\s+is\s+(not\s+)?defined\b/;

/** Longer than any loop over messages; a template that wants more is broken. */
const LONGEST_RANGE = 100_000;

export class ChatTemplate {
  readonly source: string;
  readonly #program: Template["parsed"];
  readonly #variables: TemplateVariables;
  /**
   * It writes the date, and can not do without: one that can is given no clock, so that
   * what it writes is the same tomorrow.
   */
  readonly #dated: boolean;

  /** Throws EMODEL when `source` is no template. */
  constructor(source: string, variables: TemplateVariables) {
    this.source = source;
    this.#variables = variables;
    this.#dated = !ASKS_FOR_CLOCK.test(source);
    try {
      this.#program = new Template(source).parsed;
    } catch (cause) {
      throw new ContixError("EMODEL", `the model's chat template: ${reason(cause)}`, { cause });
    }
  }

  /**
   * The messages as text; with `generationPrompt` it ends where the assistant goes on.
   * `now` is the time for a template that writes the date, so that renderings agree.
   * @throws ContixError EINVAL with the template's words when it refuses the messages
   */
  render(messages: readonly Message[], generationPrompt: boolean, now: Date): string {
    const scope = new Environment();
    const values = {
      ...GLOBALS,
      ...this.#variables,
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: generationPrompt,
      ...(this.#dated && { strftime_now: (format: unknown) => strftime(now, String(format)) }),
    };
    for (const [name, value] of Object.entries(values)) scope.set(name, value);
    try {
      const result = new Interpreter(scope).run(this.#program);
      return String(result.value);
    } catch (cause) {
      if (cause instanceof ContixError) throw cause;
      throw new ContixError("EMODEL", `the model's chat template: ${reason(cause)}`, { cause });
    }
  }
}

/** What Jinja and chat templates take for granted. */
const GLOBALS = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range,
  raise_exception: (message: unknown): never => {
    throw new ContixError("EINVAL", `the model's chat template refuses: ${String(message)}`, {
      argument: "messages",
    });
  },
  tools: null,
  documents: null,
};

function range(first: number, last?: number, step = 1): number[] {
  const [start, stop] = last === undefined ? [0, first] : [first, last];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= LONGEST_RANGE)) throw new RangeError(`range() of ${length} numbers`);
  return Array.from({ length }, (_, i) => start + i * step);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

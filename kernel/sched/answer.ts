/** What a generation has written so far. */
import type { GenerateResult, TokenLogprob } from "../../proto/gen/contix/v1/calls.js";

export class Answer {
  #text = "";
  readonly #tokens: number[] = [];
  /** Undefined: the call did not ask for them. */
  readonly #logprobs: TokenLogprob[] | undefined;

  /** @param told the call asks for log probabilities */
  constructor(told: boolean) {
    this.#logprobs = told ? [] : undefined;
  }

  /** Tokens written. */
  get length(): number {
    return this.#tokens.length;
  }

  /** `logprobs`: of these tokens, when they are told. */
  add(tokens: readonly number[], text: string, logprobs?: readonly TokenLogprob[]): void {
    this.#text += text;
    for (const token of tokens) this.#tokens.push(token);
    if (logprobs) this.#logprobs?.push(...logprobs);
  }

  /** It, as the reply has it. */
  get written(): Pick<GenerateResult, "text" | "tokens" | "logprobs"> {
    const logprobs = this.#logprobs && { tokens: this.#logprobs };
    return { text: this.#text, tokens: this.#tokens, ...(logprobs && { logprobs }) };
  }
}

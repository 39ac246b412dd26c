/** A context's tokens as the kernel keeps them, and which of them were given. */
import type { Run } from "../../kernel/journal/state.js";

export class History {
  tokens: number[] = [];
  runs: Run[] = [];

  /**
   * Makes the history what the next prompt says. What both begin with stays; after a cut
   * everything beyond it counts as given, and so do the prompt's new tokens.
   */
  become(prompt: number[]): void {
    const { tokens, runs } = this;
    let common = 0;
    const end = Math.min(tokens.length, prompt.length);
    while (common < end && tokens[common] === prompt[common]) common++;
    while ((runs.at(-1)?.start ?? -1) >= common) runs.pop();
    this.tokens = prompt;
    if (prompt.length > common) this.#begin(common, true);
  }

  /** Puts generated tokens behind it. */
  generate(output: readonly number[]): void {
    if (output.length === 0) return;
    this.#begin(this.tokens.length, false);
    for (const token of output) this.tokens.push(token);
  }

  #begin(start: number, given: boolean): void {
    if (this.runs.at(-1)?.given !== given) this.runs.push({ start, given });
  }
}

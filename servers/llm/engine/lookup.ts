/**
 * Prompt lookup: guesses the next tokens of a context from the context itself (A. Saxena,
 * "Prompt lookup decoding", 2023). Where its last tokens have stood before, what followed
 * them then may follow them now: answers quote their prompts, code repeats names, lists
 * repeat their form. One run of the model checks all guesses, and costs little more than a
 * run for one token, because at one row a run's time goes into reading the weights.
 */

/** The longest and the shortest end of the context that is looked for. Shorter ones fit by chance. */
const LONGEST = 3;
const SHORTEST = 2;

/** After so many tokens at most, guessing is tried again. */
const LONGEST_REST = 64;

/**
 * At most `most` tokens that may follow `context` and `next`: those that followed the last
 * place where its longest possible end (3 or 2 tokens) stood before. A repetition that goes
 * on to the very end goes on in the guesses.
 */
export function guess(context: readonly number[], next: number, most: number): number[] {
  const at = most > 0 ? lastPlace(context, next) : -1;
  if (at < 0) return [];
  const guesses: number[] = [];
  const follows = (i: number): number | undefined =>
    i < context.length ? context[i] : [next, ...guesses][i - context.length];
  for (let i = at + 1; guesses.length < most; i++) guesses.push(follows(i) ?? next);
  return guesses;
}

/** Where in `context` the last token of such a place is; -1: there is none. */
function lastPlace(context: readonly number[], next: number): number {
  const { length } = context;
  let place = -1;
  for (let at = length - 1; at >= SHORTEST - 1; at--) {
    if (context[at] !== next) continue;
    let same = 1;
    while (same < LONGEST && same <= at && context[at - same] === context[length - same]) same++;
    if (same === LONGEST) return at;
    if (same === SHORTEST && place < 0) place = at;
  }
  return place;
}

/**
 * How many tokens to guess: fewer after wrong guesses, more after right ones, and after
 * several runs in vain none for a while, longer each time. It knows what this burst's own
 * guesses came to and nothing else, so that a run can be repeated.
 */
export class Patience {
  readonly #most: number;
  #length: number;
  #failures = 0;
  #rest = 0;

  /** @param most tokens guessed at once, 1 or more */
  constructor(most: number) {
    this.#most = most;
    this.#length = most;
  }

  /** Tokens to guess at this step; to be asked once a step. */
  next(): number {
    if (this.#rest === 0) return this.#length;
    this.#rest--;
    return 0;
  }

  /** Of `guessed` tokens the first `right` were right. */
  note(guessed: number, right: number): void {
    if (right === 0) {
      this.#failures++;
      this.#rest = Math.min(LONGEST_REST, 2 ** this.#failures - 1);
      this.#length = Math.max(1, this.#length >> 1);
      return;
    }
    this.#failures = 0;
    this.#length = right === guessed ? Math.min(this.#most, 2 * this.#length) : right + 1;
  }
}

/**
 * Finds stop strings in text that comes in pieces, and holds back what may become one.
 *
 * Generation ends with the first character that completes any stop string; when several
 * are complete there, the longest has matched. So the result does not depend on how the
 * text was cut into pieces. Each stop string has an automaton of Knuth, Morris and Pratt
 * (SIAM J. Comput. 1977): its state is how much of the string the text ends with.
 */
import { ContixError } from "../../../proto/errno.js";

interface Automaton {
  readonly stop: string;
  /** fail[i]: the longest proper prefix of the stop string that its first i + 1 units end with. */
  readonly fail: Int32Array;
  /** So many units of the stop string the text ends with. */
  state: number;
}

export interface StopProgress {
  /** What became sure: before any match, and part of none that may still come. */
  readonly text: string;
  /** The stop string that is complete; nothing may be pushed after it. */
  readonly matched?: string;
}

export class StopMatcher {
  readonly #automata: readonly Automaton[];
  /** The end of the text that begins a stop string. */
  #held = "";

  /** Throws EINVAL for an empty stop string, which would match before any text. */
  constructor(stops: readonly string[]) {
    if (stops.includes("")) {
      throw new ContixError("EINVAL", "a stop string is empty", { argument: "stop" });
    }
    this.#automata = stops.map((stop) => ({ stop, fail: failures(stop), state: 0 }));
  }

  /** Takes more text. */
  push(text: string): StopProgress {
    if (this.#automata.length === 0) return { text };
    for (let i = 0; i < text.length; i++) {
      const matched = this.#advance(text.charCodeAt(i));
      if (matched === "") continue;
      const all = this.#held + text.slice(0, i + 1);
      this.#held = "";
      return { text: all.slice(0, all.length - matched.length), matched };
    }
    const all = this.#held + text;
    const keep = this.#automata.reduce((most, { state }) => Math.max(most, state), 0);
    this.#held = all.slice(all.length - keep);
    return { text: all.slice(0, all.length - keep) };
  }

  /** What was held back, when no more text will come. */
  flush(): string {
    const text = this.#held;
    this.#held = "";
    for (const automaton of this.#automata) automaton.state = 0;
    return text;
  }

  /** The longest stop string that `unit` completes, or "". */
  #advance(unit: number): string {
    let matched = "";
    for (const automaton of this.#automata) {
      const { stop, fail } = automaton;
      let state = automaton.state;
      while (state > 0 && stop.charCodeAt(state) !== unit) state = fail[state - 1] ?? 0;
      if (stop.charCodeAt(state) === unit) state++;
      if (state === stop.length && stop.length > matched.length) matched = stop;
      automaton.state = state;
    }
    return matched;
  }
}

function failures(stop: string): Int32Array {
  const fail = new Int32Array(stop.length);
  let length = 0;
  for (let i = 1; i < stop.length; i++) {
    while (length > 0 && stop.charCodeAt(i) !== stop.charCodeAt(length)) {
      length = fail[length - 1] ?? 0;
    }
    if (stop.charCodeAt(i) === stop.charCodeAt(length)) length++;
    fail[i] = length;
  }
  return fail;
}

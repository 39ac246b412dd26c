/**
 * What the fake model would say: next-token logits as a pure function of the seed and of
 * everything that is in a slot, in constant time a token.
 *
 * Of each position it keeps a hash of all tokens up to there (and of how each came in:
 * given or generated), where the word there began, and how many words were generated. The
 * hash at a word's beginning chooses three words that may come; the first letter decides
 * which of them it is; the rest of the word follows. So greedy text is words and
 * sentences, another seed of sampling soon tells another story, and a wrong token or a
 * lost one anywhere in the history changes all that follows.
 */
import type { PageMemory, Place } from "../engine/page-memory.js";
import { PAGE_TOKENS } from "../engine/pages.js";
import { END_OF_TEXT, TURN_END, VOCAB } from "./vocabulary.js";
import { WORD_LIST } from "./words.js";

const SPACE = 0x20;
const NEWLINE = 0x0a;
const COMMA = 0x2c;
const PERIOD = 0x2e;

/** Logits of the words' first letters, of the letter that must come, of the end, of what never comes. */
const CHOICES = [12, 11.3, 10.6];
const SURE = 12;
const END = 30;
const NEVER = -20;

/** Any other visible character: below this, and different in each state. */
const NOISE = 2;
const NOISE_STATES = 4096;

/** The history of one slot, or of all frames, one behind the other. */
interface History {
  readonly tokens: Uint32Array;
  readonly hashes: Uint32Array;
  /** Where the word at a position began, or, after a space, where the next one begins. */
  readonly wordStarts: Uint32Array;
  /** Words generated since the last given token. */
  readonly words: Uint32Array;
}

/** One that lies in memory of its own. */
type Shared = Readonly<Record<keyof History, Uint32Array<SharedArrayBuffer>>>;

/** Of which a history consists; and what they take, bytes a token. */
const PARTS = ["tokens", "hashes", "wordStarts", "words"] as const;
export const TOKEN_BYTES = 4 * PARTS.length;

export class Story {
  /** The slots, where pages are read into them. */
  readonly memory: PageMemory;
  readonly #slotTokens: number;
  readonly #slots: readonly History[];
  readonly #frames: History;
  readonly #first: number;
  /** No answer is shorter than this; then each word may be the last. */
  readonly #leastWords: number;
  readonly #endChance: number;
  readonly #noise: Float32Array;

  /** `words`: of an answer, on average. `frameTokens`: of all frames together. */
  constructor(
    seed: number,
    words: number,
    slots: number,
    slotTokens: number,
    frameTokens: number = 0,
  ) {
    const all = history(slots * slotTokens);
    this.#slotTokens = slotTokens;
    this.#slots = Array.from({ length: slots }, (_, slot) =>
      part(all, slot * slotTokens, (slot + 1) * slotTokens),
    );
    this.memory = {
      memories: PARTS.map((name) => all[name].buffer),
      pieces: PARTS.map((_, memory) => ({ memory, start: 0 })),
      length: PAGE_TOKENS * 4,
    };
    this.#frames = history(frameTokens);
    this.#first = mix(Math.floor(seed) >>> 0, Math.floor(seed / 2 ** 32) >>> 0);
    this.#leastWords = Math.floor(words / 4);
    this.#endChance = 1 / Math.max(1, words - this.#leastWords);
    this.#noise = Float32Array.from(
      { length: NOISE_STATES + VOCAB },
      (_, i) => (mix(this.#first, i) / 2 ** 32) * NOISE,
    );
  }

  /** Puts `token` at `position` of `slot`; what was there and after it is forgotten. */
  enter(slot: number, position: number, token: number, given: boolean): void {
    const history = this.#slot(slot);
    const { tokens, hashes, wordStarts, words } = history;
    const before = position === 0 ? this.#first : (hashes[position - 1] ?? 0);
    const start = position === 0 ? 0 : (wordStarts[position - 1] ?? 0);
    const count = position === 0 ? 0 : (words[position - 1] ?? 0);
    const ends = token === SPACE || token === NEWLINE || token >= END_OF_TEXT;
    tokens[position] = token;
    hashes[position] = mix(before, token * 2 + (given ? 1 : 0));
    wordStarts[position] = ends ? position + 1 : start;
    words[position] = given ? 0 : count + (ends && start < position ? 1 : 0);
  }

  copy(from: number, to: number, tokens: number): void {
    move(this.#slot(from), 0, this.#slot(to), 0, tokens);
  }

  /** Copies `count` tokens of a slot, from start on, to the frames from token `at` on. */
  save(slot: number, start: number, count: number, at: number): void {
    move(this.#slot(slot), start, this.#frames, at, count);
  }

  /** The way back. */
  load(at: number, slot: number, start: number, count: number): void {
    move(this.#frames, at, this.#slot(slot), start, count);
  }

  /** The bytes of `count` tokens of the frames. */
  framed(at: number, count: number): Uint8Array[] {
    const framed = part(this.#frames, at, at + count);
    return PARTS.map((name) => {
      const { buffer, byteOffset, byteLength } = framed[name];
      return new Uint8Array(buffer, byteOffset, byteLength);
    });
  }

  /** Where the tokens of a slot from start on are read to. */
  place(slot: number, start: number): Place {
    return { memory: this.memory, at: (slot * this.#slotTokens + start) * 4 };
  }

  /** The logits [VOCAB] of what follows the first `length` tokens of `slot` (1 or more), to `out`. */
  predict(slot: number, length: number, out: Float32Array): void {
    const { tokens, hashes, wordStarts, words } = this.#slot(slot);
    const state = (hashes[length - 1] ?? 0) % NOISE_STATES;
    out.set(this.#noise.subarray(state, state + VOCAB));
    out.fill(NEVER, 0, SPACE);
    out.fill(NEVER, 0x7f);

    const start = wordStarts[length - 1] ?? 0;
    const chosen = start === 0 ? this.#first : (hashes[start - 1] ?? 0);
    const options = CHOICES.map((_, i) => written(chosen, i, beginsSentence(tokens, start)));
    if (start === length) {
      if (this.#ends(chosen, words[length - 1] ?? 0)) out[TURN_END] = END;
      for (const [i, word] of [...options.entries()].reverse())
        out[word[0] ?? SPACE] = CHOICES[i] ?? 0;
    } else {
      const said = tokens.subarray(start, length);
      const word = options.find((option) => option[0] === said[0]);
      out[nextByte(word, said)] = SURE;
    }
  }

  #ends(chosen: number, words: number): boolean {
    return words >= this.#leastWords && mix(chosen, 101) / 2 ** 32 < this.#endChance;
  }

  #slot(index: number): History {
    const history = this.#slots[index];
    if (history === undefined) throw new RangeError(`no slot ${index}`);
    return history;
  }
}

function history(tokens: number): Shared {
  const words = () => new Uint32Array(new SharedArrayBuffer(tokens * 4));
  return { tokens: words(), hashes: words(), wordStarts: words(), words: words() };
}

/** Of a history, as a view. */
function part({ tokens, hashes, wordStarts, words }: History, from: number, to: number): History {
  return {
    tokens: tokens.subarray(from, to),
    hashes: hashes.subarray(from, to),
    wordStarts: wordStarts.subarray(from, to),
    words: words.subarray(from, to),
  };
}

function move(from: History, start: number, to: History, at: number, count: number): void {
  for (const part of PARTS) to[part].set(from[part].subarray(start, start + count), at);
}

/** What follows `said` in `word`; a space after it, and where it was left. */
function nextByte(word: Uint8Array | undefined, said: Uint32Array): number {
  if (word === undefined || said.some((byte, i) => byte !== word[i])) return SPACE;
  return word[said.length] ?? SPACE;
}

/** A sentence begins after a full stop and a space, or where no text is before. */
function beginsSentence(tokens: Uint32Array, start: number): boolean {
  const last = start === 0 ? NEWLINE : tokens[start - 1];
  return last !== SPACE || tokens[start - 2] === PERIOD;
}

/** The bytes of the word that `hash` chooses, as it stands in a sentence. */
function written(hash: number, choice: number, capital: boolean): Uint8Array {
  const pick = mix(hash, choice);
  const word = WORD_LIST[pick % WORD_LIST.length] ?? new Uint8Array(0);
  const first = word[0] ?? 0;
  const mark = (pick >>> 16) % 16;
  const tail = mark < 2 && !capital ? [PERIOD] : mark === 2 ? [COMMA] : [];
  const bytes = Uint8Array.from([...word, ...tail]);
  if (capital && first >= 0x61 && first <= 0x7a) bytes[0] = first - 0x20;
  return bytes;
}

/** Two uint32 to one (the finalizer of MurmurHash3 over their combination). */
function mix(a: number, b: number): number {
  let x = (Math.imul(a ^ (a >>> 15), 0x2c1b3c6d) + Math.imul(b, 0x9e3779b1) + 0x7f4a7c15) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

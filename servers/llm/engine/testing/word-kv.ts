/** The KV of models for tests: one 32-bit word a token, in slots and in frames. */

import { PAGE_TOKENS, type Pages } from "../pages.js";

interface WordSlot {
  readonly words: Uint32Array;
  length: number;
}

export class WordKv {
  readonly pages: Pages;
  readonly #slotTokens: number;
  readonly #slots: readonly WordSlot[];
  readonly #frames: Uint32Array;

  constructor(slots: number, slotTokens: number, frames: number) {
    this.#slotTokens = slotTokens;
    const shared = new SharedArrayBuffer(slots * slotTokens * 4);
    this.#slots = Array.from({ length: slots }, (_, slot) => ({
      words: new Uint32Array(shared, slot * slotTokens * 4, slotTokens),
      length: 0,
    }));
    this.#frames = new Uint32Array(frames * PAGE_TOKENS);
    this.pages = this.#pages(frames, shared);
  }

  /** The words of a slot. */
  words(index: number): Uint32Array {
    const { words, length } = this.#slot(index);
    return words.subarray(0, length);
  }

  /** Puts a word at `position`; what is behind is forgotten. */
  enter(index: number, position: number, word: number): void {
    const slot = this.#slot(index);
    if (position > slot.length) {
      throw new RangeError(`a gap before position ${position} of slot ${index}`);
    }
    slot.words[position] = word;
    slot.length = position + 1;
  }

  copy(from: number, to: number, tokens: number): void {
    this.#put(to, 0, this.words(from).subarray(0, tokens));
  }

  #pages(frames: number, shared: SharedArrayBuffer): Pages {
    const length = PAGE_TOKENS * 4;
    const memory = { memories: [shared], pieces: [{ memory: 0, start: 0 }], length };
    return {
      bytes: length,
      frames,
      save: (slot, start, count, frame) =>
        this.#frames.set(this.words(slot).subarray(start, start + count), frame * PAGE_TOKENS),
      load: (frame, slot, start, count) => this.#put(slot, start, this.#framed(frame, count)),
      frame: (frame) => [bytes(this.#framed(frame, PAGE_TOKENS))],
      inSlot: (index, start) => {
        this.#slot(index).length = start + PAGE_TOKENS;
        return { memory, at: (index * this.#slotTokens + start) * 4 };
      },
      memory,
    };
  }

  #put(index: number, start: number, words: Uint32Array): void {
    const slot = this.#slot(index);
    if (start > slot.length) throw new RangeError(`a gap before ${start} in slot ${index}`);
    slot.words.set(words, start);
    slot.length = start + words.length;
  }

  #framed(frame: number, count: number): Uint32Array {
    return this.#frames.subarray(frame * PAGE_TOKENS, frame * PAGE_TOKENS + count);
  }

  #slot(index: number): WordSlot {
    const slot = this.#slots[index];
    if (slot === undefined) throw new RangeError(`no slot ${index}`);
    return slot;
  }
}

function bytes({ buffer, byteOffset, byteLength }: Uint32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

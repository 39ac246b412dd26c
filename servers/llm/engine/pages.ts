/**
 * A model's pages: places in RAM for KV that is in no slot. What goes where is the
 * kernel's business; a model only moves bytes, from memory to memory, at once.
 */
import type { PageMemory, Place } from "./page-memory.js";

/** Tokens of a page; kernel/mm/page.ts says what a page is. */
export const PAGE_TOKENS = 16;

export interface Pages {
  /** Bytes of one page; 0: this model can not take its KV apart. */
  readonly bytes: number;
  /** Places for one page each. Neighbours take a run of pages faster than others do. */
  readonly frames: number;
  /**
   * Copies the KV at `count` positions from start on (a multiple of 16) to `frame`, and
   * where it is more than one page, to the frames behind it.
   */
  save(slot: number, start: number, count: number, frame: number): void;
  /** The way back. The slot's content ends there. */
  load(frame: number, slot: number, start: number, count: number): void;
  /** The bytes of a frame, in an order of the model's own. */
  frame(frame: number): readonly Uint8Array[];
  /**
   * Where the 16 positions from start on lie, of which the bytes come in the order of a
   * frame's: from now on the model writes nothing there by itself. The slot's content ends there.
   */
  inSlot(slot: number, start: number): Place;
  /** In which the places are. */
  readonly memory: PageMemory;
}

/** Of a model that has none. */
export const NO_PAGES: Pages = {
  bytes: 0,
  frames: 0,
  save: none,
  load: none,
  frame: none,
  inSlot: none,
  memory: { memories: [], pieces: [], length: 0 },
};

function none(): never {
  throw new RangeError("this model has no pages");
}

/**
 * A model's pages: places in RAM for KV that is in no slot. What goes where is the
 * kernel's business; a model only moves bytes, from memory to memory, at once.
 */

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
   * What fills the 16 positions from start on, with the bytes of a frame in the same order:
   * from now on the model writes nothing there by itself. The slot's content ends there.
   */
  inSlot(slot: number, start: number): Fill;
  /** Memory from which `Fill` takes bytes at the least cost; whoever reads pages may have it. */
  readonly staging?: Uint8Array;
}

/** Takes the bytes of one page, at once. */
export type Fill = (bytes: Uint8Array) => void;

/** Fills a page that lies in these pieces. */
export function fillPieces(pieces: readonly Uint8Array[]): Fill {
  return (bytes) => {
    let at = 0;
    for (const piece of pieces) {
      piece.set(bytes.subarray(at, at + piece.length));
      at += piece.length;
    }
  };
}

/** Of a model that has none. */
export const NO_PAGES: Pages = {
  bytes: 0,
  frames: 0,
  save: none,
  load: none,
  frame: none,
  inSlot: none,
};

function none(): never {
  throw new RangeError("this model has no pages");
}

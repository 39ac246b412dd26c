/**
 * Where pages lie in slots, told so that any thread can fill them: memory that is shared, and
 * of a page the pieces of which it consists, all of one length. At another position, or in
 * another slot, each piece of a page is as far away as every other.
 */

export interface Piece {
  /** Index of the memory in which it lies. */
  readonly memory: number;
  /** Where it begins there when the page is the first of slot 0. */
  readonly start: number;
}

export interface PageMemory {
  readonly memories: readonly SharedArrayBuffer[];
  /** In the order of a page's bytes. */
  readonly pieces: readonly Piece[];
  /** Of one piece, bytes. */
  readonly length: number;
}

/** Where one page lies. */
export interface Place {
  readonly memory: PageMemory;
  /** How far its pieces are from those of the first page of slot 0, bytes. */
  readonly at: number;
}

/**
 * Copies pages to their places, all from the same bytes. Views are made once: of a small
 * piece they cost more than its copy.
 */
export class PageFiller {
  readonly #memory: PageMemory;
  readonly #targets: readonly Uint8Array[];
  readonly #sources: readonly Uint8Array[];

  /** @param page what `fill` takes the bytes from */
  constructor(memory: PageMemory, page: Uint8Array) {
    const { memories, pieces, length } = memory;
    this.#memory = memory;
    this.#targets = memories.map((shared) => new Uint8Array(shared));
    this.#sources = pieces.map((_, i) => page.subarray(i * length, (i + 1) * length));
  }

  /** Copies the page to the place `at` bytes from the first. */
  fill(at: number): void {
    const { pieces } = this.#memory;
    for (let i = 0; i < pieces.length; i++) {
      const { memory, start } = pieces[i] as Piece;
      (this.#targets[memory] as Uint8Array).set(this.#sources[i] as Uint8Array, start + at);
    }
  }
}

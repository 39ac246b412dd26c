/**
 * The pages that may be victims, by rank. Pinned ones that come up are set aside, so
 * that no question walks over all of them: each one looks at a few of those again, and
 * at all of them only when nothing else is left.
 */
import type { Page } from "../page.js";
import { type Entry, Heap } from "./heap.js";

/** Pages set aside that a question looks at again. */
const LOOKS = 4;

export class Candidates<T extends { readonly page: Page }> {
  readonly #heap = new Heap<T>();
  readonly #aside = new Set<Entry<T>>();

  constructor(private readonly pinned: (page: Page) => boolean) {}

  /** Ranks a page; the least rank goes first. */
  set(entry: Entry<T>, rank: number): void {
    if (this.#aside.has(entry)) entry.key = rank;
    else this.#heap.set(entry, rank);
  }

  remove(entry: Entry<T>): void {
    if (!this.#aside.delete(entry)) this.#heap.remove(entry);
  }

  /** The page of the least rank that is not pinned. */
  first(): Entry<T> | undefined {
    this.#lookAgain(LOOKS);
    for (;;) {
      const entry = this.#heap.first;
      if (!entry) {
        if (!this.#lookAgain(this.#aside.size)) return undefined;
      } else if (this.pinned(entry.item.page)) {
        this.#heap.remove(entry);
        this.#aside.add(entry);
      } else {
        return entry;
      }
    }
  }

  /** Whether any of the `count` set aside longest is back. */
  #lookAgain(count: number): boolean {
    let back = false;
    let left = Math.min(count, this.#aside.size);
    for (const entry of this.#aside) {
      if (left-- <= 0) break;
      this.#aside.delete(entry);
      if (this.pinned(entry.item.page)) {
        this.#aside.add(entry);
      } else {
        this.#heap.set(entry, entry.key);
        back = true;
      }
    }
    return back;
  }
}

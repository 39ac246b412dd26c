/**
 * Pages that are about to be in a slot: a burst that is bound there computes them, or
 * reads of the swap file bring them. Who needs one of them waits for it, rather than
 * computing it too: 16 agents with one prompt compute it once. Nobody waits for a burst
 * that waits itself, so there is no circle; and when the burst leaves its slot, what it
 * was to bring is expected no more.
 */
import { PAGE_TOKENS, type Page } from "./page.js";
import type { Slot } from "./slots.js";

export class Expected {
  readonly #by = new Map<Page, Slot>();
  /** Of each slot, the deepest first. */
  readonly #of = new Map<Slot, Page[]>();

  has(page: Page): boolean {
    return this.#by.has(page);
  }

  /** The slot will have these, in their order; those that another brings are left to it. */
  expect(slot: Slot, pages: readonly Page[]): void {
    this.forget(slot);
    const mine = pages.filter((page) => !this.#by.has(page));
    for (const page of mine) this.#by.set(page, slot);
    if (mine.length > 0) this.#of.set(slot, mine.reverse());
  }

  /** The slot has its first `tokens` tokens. @returns the pages that came with them */
  arrived(slot: Slot, tokens: number): Page[] {
    const left = this.#of.get(slot) ?? [];
    const came: Page[] = [];
    for (let page = left.at(-1); page; page = left.at(-1)) {
      if ((page.depth + 1) * PAGE_TOKENS > tokens) break;
      left.pop();
      this.#by.delete(page);
      came.push(page);
    }
    return came;
  }

  /** Nothing more comes into the slot. */
  forget(slot: Slot): void {
    for (const page of this.#of.get(slot) ?? []) this.#by.delete(page);
    this.#of.delete(slot);
  }

  clear(): void {
    this.#by.clear();
    this.#of.clear();
  }
}

/**
 * A heap for ranks of pages, with four below each.
 *
 * Three things make it other than kernel/heap.ts. The keys lie in a row of their own, so
 * that looking for a place touches no page: of tens of thousands, those are in no cache.
 * With four below each, half as many move. And what takes out the first leaves a hole for
 * what comes in next. When a page goes, the page before it becomes a leaf, of about the
 * same rank: it lies down where the other was.
 */

/** What has a rank in one heap. `order` decides between equal keys, so that no run differs. */
export interface Ranked {
  order: number;
  /** Where it lies in its heap; -1: in none. */
  at: number;
}

const BELOW = 4;

/** The least key first. Every operation is O(log n). */
export class Ranks<T extends Ranked> {
  readonly #items: T[] = [];
  readonly #keys: number[] = [];
  /** What was first is out, and nothing is in its place yet. */
  #hole = false;

  get first(): T | undefined {
    this.#fill();
    return this.#items[0];
  }

  /** Of an item that is in. */
  keyOf(item: T): number {
    this.#fill();
    return this.#keys[item.at] ?? Number.NaN;
  }

  /** Puts the item in, or moves it to where its new key belongs. */
  set(item: T, key: number): void {
    if (item.at < 0 && this.#hole) {
      this.#hole = false;
      this.#sink(item, key, 0);
      return;
    }
    this.#fill();
    this.#settle(item, key, item.at < 0 ? this.#items.length : item.at);
  }

  /** Takes the item out, if it is in. */
  remove(item: T): void {
    if (item.at < 0) return;
    this.#fill();
    const { at } = item;
    item.at = -1;
    if (at === 0) this.#hole = true;
    else this.#close(at);
  }

  #fill(): void {
    if (!this.#hole) return;
    this.#hole = false;
    this.#close(0);
  }

  /** The last one goes to where one is missing. */
  #close(at: number): void {
    const last = this.#items.pop();
    const key = this.#keys.pop();
    if (last === undefined || key === undefined || at === this.#items.length) return;
    this.#settle(last, key, at);
  }

  #settle(item: T, key: number, from: number): void {
    if (!this.#rise(item, key, from)) this.#sink(item, key, from);
  }

  /** @returns whether it belongs above, where it is now; otherwise nothing has moved */
  #rise(item: T, key: number, from: number): boolean {
    let at = from;
    while (at > 0) {
      const above = Math.floor((at - 1) / BELOW);
      if (!this.#before(key, item, above)) break;
      this.#move(above, at);
      at = above;
    }
    if (at === from) return false;
    this.#put(item, key, at);
    return true;
  }

  #sink(item: T, key: number, from: number): void {
    const end = this.#items.length;
    let at = from;
    for (let below = BELOW * at + 1; below < end; below = BELOW * at + 1) {
      const least = this.#least(below, Math.min(end, below + BELOW));
      if (this.#before(key, item, least)) break;
      this.#move(least, at);
      at = least;
    }
    this.#put(item, key, at);
  }

  /** Where the least of [from, end) lies. */
  #least(from: number, end: number): number {
    let least = from;
    for (let at = from + 1; at < end; at++) {
      const item = this.#items[at];
      if (item && this.#before(this.#keys[at] ?? 0, item, least)) least = at;
    }
    return least;
  }

  #before(key: number, item: T, at: number): boolean {
    const other = this.#keys[at] ?? 0;
    return key < other || (key === other && item.order < (this.#items[at]?.order ?? 0));
  }

  #move(from: number, to: number): void {
    const item = this.#items[from];
    if (item) this.#put(item, this.#keys[from] ?? 0, to);
  }

  #put(item: T, key: number, at: number): void {
    this.#items[at] = item;
    this.#keys[at] = key;
    item.at = at;
  }
}

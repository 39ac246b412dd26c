/**
 * A heap whose entries can be moved and taken out: each knows where it lies.
 *
 * Four children a node: half as many levels as a binary heap, and the keys of four children
 * are one line of the cache. Keys and orders lie beside the entries in arrays of numbers, so
 * that comparing follows no pointers: that is what a large heap's time goes to.
 */

/** One thing in one heap; `order` decides between equal keys, so that no run differs. */
export class Entry<T> {
  key = 0;
  /** Where it lies in its heap; -1: in none. */
  at = -1;

  constructor(
    readonly item: T,
    readonly order: number,
  ) {}
}

/** The least key first. Every operation is O(log n). */
export class Heap<T> {
  readonly #entries: Entry<T>[] = [];
  readonly #keys: number[] = [];
  readonly #orders: number[] = [];

  get first(): Entry<T> | undefined {
    return this.#entries[0];
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Puts the entry in, or moves it to where its new key belongs. */
  set(entry: Entry<T>, key: number): void {
    entry.key = key;
    if (entry.at < 0) {
      this.#put(entry, this.#entries.length);
      this.#rise(entry);
    } else {
      this.#settle(entry);
    }
  }

  /** Takes the entry out, if it is in. */
  remove(entry: Entry<T>): void {
    if (entry.at < 0) return;
    const hole = entry.at;
    const last = this.#entries.pop();
    this.#keys.pop();
    this.#orders.pop();
    entry.at = -1;
    if (!last || last === entry) return;
    last.at = hole;
    this.#settle(last);
  }

  #settle(entry: Entry<T>): void {
    if (!this.#rise(entry)) this.#sink(entry);
  }

  #put(entry: Entry<T>, at: number): void {
    this.#entries[at] = entry;
    this.#keys[at] = entry.key;
    this.#orders[at] = entry.order;
    entry.at = at;
  }

  #rise(entry: Entry<T>): boolean {
    let at = entry.at;
    while (at > 0) {
      const above = (at - 1) >> 2;
      const parent = this.#entries[above];
      if (!parent || !this.#before(entry.key, entry.order, above)) break;
      this.#put(parent, at);
      at = above;
    }
    const moved = at !== entry.at;
    this.#put(entry, at);
    return moved;
  }

  #sink(entry: Entry<T>): void {
    let at = entry.at;
    for (;;) {
      const below = this.#least(4 * at + 1);
      const child = this.#entries[below];
      if (!child || this.#before(entry.key, entry.order, below)) break;
      this.#put(child, at);
      at = below;
    }
    this.#put(entry, at);
  }

  /** Of the four places from `from` on, the one whose entry goes first. */
  #least(from: number): number {
    let best = from;
    const end = Math.min(from + 4, this.#entries.length);
    for (let at = from + 1; at < end; at++) {
      if (this.#before(this.#keys[at] ?? 0, this.#orders[at] ?? 0, best)) best = at;
    }
    return best;
  }

  /** Whether such a key goes before what lies at `at`. */
  #before(key: number, order: number, at: number): boolean {
    const other = this.#keys[at] ?? 0;
    return key < other || (key === other && order < (this.#orders[at] ?? 0));
  }
}

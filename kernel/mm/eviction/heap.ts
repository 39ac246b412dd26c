/** A binary heap whose entries can be moved and taken out: each knows where it lies. */

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

  get first(): Entry<T> | undefined {
    return this.#entries[0];
  }

  /** Puts the entry in, or moves it to where its new key belongs. */
  set(entry: Entry<T>, key: number): void {
    entry.key = key;
    if (entry.at < 0) {
      entry.at = this.#entries.length;
      this.#entries.push(entry);
    }
    this.#settle(entry);
  }

  /** Takes the entry out, if it is in. */
  remove(entry: Entry<T>): void {
    if (entry.at < 0) return;
    const hole = entry.at;
    const last = this.#entries.pop();
    entry.at = -1;
    if (!last || last === entry) return;
    this.#entries[hole] = last;
    last.at = hole;
    this.#settle(last);
  }

  #settle(entry: Entry<T>): void {
    if (!this.#rise(entry)) this.#sink(entry);
  }

  #rise(entry: Entry<T>): boolean {
    const entries = this.#entries;
    let at = entry.at;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = entries[above];
      if (!parent || !before(entry, parent)) break;
      entries[at] = parent;
      parent.at = at;
      at = above;
    }
    const moved = at !== entry.at;
    entries[at] = entry;
    entry.at = at;
    return moved;
  }

  #sink(entry: Entry<T>): void {
    const entries = this.#entries;
    let at = entry.at;
    for (;;) {
      let below = 2 * at + 1;
      let child = entries[below];
      if (!child) break;
      const right = entries[below + 1];
      if (right && before(right, child)) {
        child = right;
        below++;
      }
      if (!before(child, entry)) break;
      entries[at] = child;
      child.at = at;
      at = below;
    }
    entries[at] = entry;
    entry.at = at;
  }
}

function before<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.key < b.key || (a.key === b.key && a.order < b.order);
}

/**
 * A trie over UTF-16 units, in flat arrays: an edge (node, unit) is found in a hash table
 * with open addressing. It holds hundreds of thousands of tokens without an object each.
 */

/** No node, no value. */
export const NONE = -1;

const ROOT = 0;

export class Trie {
  #nodes = 1;
  /** By node: the value of the text that ends there, or NONE. */
  #values = new Int32Array(1).fill(NONE);
  // By place in the hash table: the edge's node, unit and the node it leads to.
  #from = new Int32Array(16).fill(NONE);
  #unit = new Uint16Array(16);
  #to = new Int32Array(16);

  /** `entries`: texts, none empty, and their values, 0 and up; the first of a text stays. */
  constructor(entries: Iterable<readonly [string, number]>) {
    for (const [text, value] of entries) this.#insert(text, value);
  }

  /** The node where every text begins. */
  get root(): number {
    return ROOT;
  }

  /** The node that `unit` leads to from `node`, or NONE. */
  child(node: number, unit: number): number {
    const at = this.#place(node, unit);
    return this.#from[at] === NONE ? NONE : (this.#to[at] ?? NONE);
  }

  /** The value of the text that ends at `node`, or NONE. */
  value(node: number): number {
    return this.#values[node] ?? NONE;
  }

  /** The longest entry that `text` has at `start`: its value and end; undefined: none. */
  longest(text: string, start: number): { value: number; end: number } | undefined {
    let found: { value: number; end: number } | undefined;
    let node = this.child(ROOT, text.charCodeAt(start));
    for (let end = start + 1; node !== NONE; end++) {
      const value = this.value(node);
      if (value !== NONE) found = { value, end };
      if (end >= text.length) break;
      node = this.child(node, text.charCodeAt(end));
    }
    return found;
  }

  #insert(text: string, value: number): void {
    let node = ROOT;
    for (let i = 0; i < text.length; i++) node = this.#grow(node, text.charCodeAt(i));
    if (this.#values[node] === NONE) this.#values[node] = value;
  }

  #grow(node: number, unit: number): number {
    const at = this.#place(node, unit);
    if (this.#from[at] !== NONE) return this.#to[at] ?? ROOT;
    const made = this.#nodes++;
    this.#from[at] = node;
    this.#unit[at] = unit;
    this.#to[at] = made;
    if (made >= this.#values.length) {
      const values = new Int32Array(2 * this.#values.length).fill(NONE);
      values.set(this.#values);
      this.#values = values;
    }
    if (2 * this.#nodes > this.#from.length) this.#rehash();
    return made;
  }

  /** Where the edge (node, unit) is in the table, or would be. */
  #place(node: number, unit: number): number {
    const mask = this.#from.length - 1;
    let at = Math.imul(node ^ Math.imul(unit, 0x85ebca6b), 0x9e3779b1);
    at = (at ^ (at >>> 15)) & mask;
    while (this.#from[at] !== NONE && (this.#from[at] !== node || this.#unit[at] !== unit)) {
      at = (at + 1) & mask;
    }
    return at;
  }

  #rehash(): void {
    const [from, unit, to] = [this.#from, this.#unit, this.#to];
    this.#from = new Int32Array(2 * from.length).fill(NONE);
    this.#unit = new Uint16Array(2 * from.length);
    this.#to = new Int32Array(2 * from.length);
    for (const [i, node] of from.entries()) {
      if (node === NONE) continue;
      const at = this.#place(node, unit[i] ?? 0);
      this.#from[at] = node;
      this.#unit[at] = unit[i] ?? 0;
      this.#to[at] = to[i] ?? 0;
    }
  }
}

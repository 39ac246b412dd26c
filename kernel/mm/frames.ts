/**
 * Places of one tier: frames of the driver's RAM, or blocks of its swap file. Pages that
 * follow one another should lie beside each other, so that they move in one piece; else
 * the place that was given back last is taken, whose memory the system has given out
 * already. The free ones are a ring of links, so every operation is O(1).
 */
export class Places {
  readonly count: number;
  #free: number;
  /** Links of the free places; index `count` is the ring's head. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #taken: Uint8Array;

  constructor(count: number) {
    this.count = count;
    this.#free = count;
    this.#next = new Int32Array(count + 1);
    this.#previous = new Int32Array(count + 1);
    this.#taken = new Uint8Array(count);
    for (let place = 0; place <= count; place++) {
      this.#next[place] = place === count ? 0 : place + 1;
      this.#previous[place] = place === 0 ? count : place - 1;
    }
  }

  get free(): number {
    return this.#free;
  }

  isFree(place: number): boolean {
    return this.#taken[place] === 0;
  }

  /** Takes `wanted` when it is free, else another; -1: none is free. */
  take(wanted: number): number {
    if (this.#free === 0) return -1;
    const place = this.isFree(wanted) ? wanted : (this.#next[this.count] ?? 0);
    this.#link(this.#previous[place] ?? 0, this.#next[place] ?? 0);
    this.#taken[place] = 1;
    this.#free--;
    return place;
  }

  /** Gives a place back. Throws when it is not taken: a place has one owner. */
  release(place: number): void {
    if (this.#taken[place] !== 1) throw new Error(`place ${place} is given back twice`);
    this.#taken[place] = 0;
    this.#free++;
    const first = this.#next[this.count] ?? 0;
    this.#link(this.count, place);
    this.#link(place, first);
  }

  #link(before: number, after: number): void {
    this.#next[before] = after;
    this.#previous[after] = before;
  }
}

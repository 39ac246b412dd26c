/**
 * What the encodings that join neighbours have in common. Of all neighbouring pairs that
 * have a rank, the lowest rank's leftmost is joined, until no pair has one.
 *
 * Candidates wait in a heap ordered by (rank, position), so a text of n symbols takes
 * O(n log n); one whose symbols have changed since is skipped.
 */

/** No rank, no symbol. */
export const NONE = -1;

/** Positions fit below this, and rank * POSITIONS + position is exact in a double. */
const POSITIONS = 2 ** 26;

export interface Joining {
  /** The rank of the symbols at two neighbouring positions, at least 0; or NONE. */
  rank(left: number, right: number): number;
  /** Makes the symbol at `left` the two joined; that at `right` is gone. */
  join(left: number, right: number, rank: number): void;
}

/** Joins `n` symbols as far as they go; the positions of those that are left, in order. */
export function joinAll(n: number, joining: Joining): number[] {
  // A doubly linked list over positions; a joined symbol stays at the left one's.
  const next = new Int32Array(n);
  const previous = new Int32Array(n);
  const gone = new Uint8Array(n);
  const heap: number[] = [];
  const rankAt = (at: number): number => {
    const right = next[at] ?? n;
    return right < n ? joining.rank(at, right) : NONE;
  };
  const offer = (at: number): void => {
    const rank = rankAt(at);
    if (rank !== NONE) push(heap, rank * POSITIONS + at);
  };

  for (let at = 0; at < n; at++) {
    next[at] = at + 1;
    previous[at] = at - 1;
  }
  for (let at = 0; at < n; at++) offer(at);
  while (heap.length > 0) {
    const best = pop(heap);
    const rank = Math.floor(best / POSITIONS);
    const at = best - rank * POSITIONS;
    if (gone[at] === 1 || rankAt(at) !== rank) continue;
    const right = next[at] ?? n;
    const after = next[right] ?? n;
    joining.join(at, right, rank);
    gone[right] = 1;
    next[at] = after;
    if (after < n) previous[after] = at;
    offer(at);
    const before = previous[at] ?? NONE;
    if (before !== NONE) offer(before);
  }
  const left: number[] = [];
  for (let at = 0; at < n; at = next[at] ?? n) left.push(at);
  return left;
}

function push(heap: number[], value: number): void {
  let hole = heap.length;
  heap.push(value);
  while (hole > 0) {
    const parent = (hole - 1) >> 1;
    const above = heap[parent] ?? 0;
    if (above <= value) break;
    heap[hole] = above;
    hole = parent;
  }
  heap[hole] = value;
}

/** Takes the least out of a heap that is not empty. */
function pop(heap: number[]): number {
  const least = heap[0] ?? 0;
  const value = heap.pop() ?? 0;
  const size = heap.length;
  if (size === 0) return least;
  let hole = 0;
  for (let child = 1; child < size; child = 2 * hole + 1) {
    if (child + 1 < size && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child++;
    const below = heap[child] ?? 0;
    if (value <= below) break;
    heap[hole] = below;
    hole = child;
  }
  heap[hole] = value;
  return least;
}

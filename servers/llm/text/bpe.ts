/**
 * Byte-pair encoding: the tokens of one piece of text, from its bytes.
 *
 * Of all neighbouring pairs that a merge rule knows, the best rule's leftmost is joined,
 * until no rule applies. Candidates wait in a heap ordered by (rule, position), so a
 * piece of n bytes takes O(n log n); one whose symbols have changed since is skipped.
 */

/** A vocabulary as numbers. */
export interface Merges {
  /** The token of each single byte; -1 where the vocabulary has none. */
  readonly byteTokens: Int32Array;
  /** By left token: right token to rank of the rule. A lower rank goes first. */
  readonly ranks: ReadonlyArray<ReadonlyMap<number, number> | undefined>;
  /** By rank: the token that the rule makes. */
  readonly merged: Int32Array;
}

/** Positions fit below this, and rank * POSITIONS + position is exact in a double. */
const POSITIONS = 2 ** 26;

const NONE = -1;

/** The tokens of `bytes`, each of which must have a token of its own. */
export function bpe(merges: Merges, bytes: Uint8Array): number[] {
  const n = bytes.length;
  const symbols = Int32Array.from(bytes, (byte) => merges.byteTokens[byte] ?? NONE);
  // A doubly linked list over positions; a joined symbol stays at the left one's.
  const next = Int32Array.from(symbols, (_, i) => i + 1);
  const previous = Int32Array.from(symbols, (_, i) => i - 1);
  const heap: number[] = [];

  const rankAt = (at: number): number => {
    const right = next[at] ?? n;
    if (right >= n) return NONE;
    return merges.ranks[symbols[at] ?? 0]?.get(symbols[right] ?? 0) ?? NONE;
  };
  const offer = (at: number): void => {
    const rank = rankAt(at);
    if (rank !== NONE) push(heap, rank * POSITIONS + at);
  };

  for (let at = 0; at < n - 1; at++) offer(at);
  while (heap.length > 0) {
    const best = pop(heap);
    const rank = Math.floor(best / POSITIONS);
    const at = best - rank * POSITIONS;
    if (symbols[at] === NONE || rankAt(at) !== rank) continue;
    const right = next[at] ?? n;
    const after = next[right] ?? n;
    symbols[at] = merges.merged[rank] ?? 0;
    symbols[right] = NONE;
    next[at] = after;
    if (after < n) previous[after] = at;
    offer(at);
    const before = previous[at] ?? NONE;
    if (before !== NONE) offer(before);
  }
  return Array.from(symbols.filter((symbol) => symbol !== NONE));
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

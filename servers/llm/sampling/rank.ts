/**
 * The order of tokens for sampling: higher logit first, lower id first among equals.
 * Packed into one double per token, so that comparing and sorting need no callback.
 */
import { nextAbove, numberAt } from "./scan.js";

/** Ids below this can be packed: 31 bits of logit and 20 of id fit the 53 of a double. */
const IDS = 2 ** 20;

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** A number that is greater the earlier (logit, id) ranks. No two ids share one. */
export function rankKey(logit: number, id: number): number {
  float[0] = logit + 0; // -0 becomes 0, so that they tie
  const raw = bits[0] ?? 0;
  // The bits of floats order as integers do, once the negative ones are turned round.
  return (raw < 0 ? raw ^ 0x7fffffff : raw) * IDS + (IDS - 1 - id);
}

export function idOfKey(key: number): number {
  return IDS - 1 - (key - Math.floor(key / IDS) * IDS);
}

/**
 * The ids of the k tokens that rank first, ascending by id, written to `ids`; returns
 * how many (k, or all). One pass over a heap of the best k so far: most tokens cost
 * one comparison with the worst of them. Throws EIO when a logit is not a number.
 */
export function topK(logits: Float32Array, k: number, ids: Int32Array): number {
  const heap = heapOfFirst(logits, Math.min(k, logits.length));
  offerRest(logits, heap);
  for (let at = 0; at < heap.length; at++) ids[at] = idOfKey(heap[at] ?? 0);
  ids.subarray(0, heap.length).sort();
  return heap.length;
}

/** The keys of the first `size` tokens as a heap, the worst at index 0. */
function heapOfFirst(logits: Float32Array, size: number): Float64Array {
  const heap = new Float64Array(size);
  for (let id = 0; id < size; id++) heap[id] = rankKey(numberAt(logits, id), id);
  for (let at = (size >> 1) - 1; at >= 0; at--) siftDown(heap, at, heap[at] ?? 0);
  return heap;
}

/** Lets each later token take the place of the worst, if it ranks before it. */
function offerRest(logits: Float32Array, heap: Float64Array): void {
  let id = heap.length;
  for (;;) {
    const worst = logits[idOfKey(heap[0] ?? 0)] ?? 0;
    id = nextAbove(logits, id, worst); // an equal one has the higher id
    if (id === logits.length) return;
    siftDown(heap, 0, rankKey(numberAt(logits, id), id));
    id++;
  }
}

/** Puts `key` at `at`, or below it where it belongs. */
function siftDown(heap: Float64Array, at: number, key: number): void {
  const size = heap.length;
  let hole = at;
  for (let child = 2 * hole + 1; child < size; child = 2 * hole + 1) {
    // Never reads beyond the end, which would be 10 times slower.
    if (child + 1 < size && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child++;
    const least = heap[child] ?? 0;
    if (key <= least) break;
    heap[hole] = least;
    hole = child;
  }
  heap[hole] = key;
}

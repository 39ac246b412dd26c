/**
 * The optimum that policies are measured against: Belady's MIN ("A study of replacement
 * algorithms for a virtual-storage computer", 1966) on the string of accesses, with the
 * right not to keep a page at all.
 *
 * Of all pages that are there or come in, the one whose next access is farthest leaves.
 * Every access to a page accesses the pages before it too, and earlier in the string. So
 * a page's next access is never later than that of a page behind it; MIN lets the page
 * behind go first, by itself, and each of its hits is a hit on a whole prefix. It is
 * therefore the optimum among all ways to keep pages that respect prefixes, and an upper
 * bound on what any policy can hit with so many pages: policies must keep what they
 * compute, save pages later than they are accessed, and do not know the future.
 * With a swap file, pages in RAM and in the file count together, as if a page never lay
 * in both.
 */
import { Entry, Heap } from "../../kernel/heap.js";
import type { AccessString } from "./accesses.js";
import type { Steps } from "./steps.js";

const NEVER = Number.MAX_SAFE_INTEGER;

/** The most pages that can be found with room for `capacity` of them. */
export async function optimalHits(
  string: AccessString,
  capacity: number,
  steps: Steps,
): Promise<number> {
  const { accesses, distinct } = string;
  const next = nextAccesses(string);
  const entries: (Entry<number> | undefined)[] = new Array(distinct);
  // The heap's first is the least: the farthest access has the least negative.
  const kept = new Heap<number>();
  let [count, hits, at] = [0, 0, 0];
  for (const { happening, pages } of accesses) {
    for (const page of pages) {
      const again = next[at++] ?? NEVER;
      let entry = entries[page];
      if (entry && entry.at >= 0) {
        if (happening.kind === "starts") hits++;
        kept.remove(entry);
        count--;
      }
      if (again === NEVER) continue;
      entry ??= new Entry(page, page);
      entries[page] = entry;
      kept.set(entry, -again);
      if (++count <= capacity) continue;
      const farthest = kept.first;
      if (farthest) kept.remove(farthest);
      count--;
    }
    await steps.one(1 / accesses.length);
  }
  return hits;
}

/** For each access, the position of the next one to the same page; pages that are made count too. */
function nextAccesses({ accesses, distinct }: AccessString): Float64Array {
  const total = accesses.reduce((sum, { pages }) => sum + pages.length, 0);
  const next = new Float64Array(total);
  const soonest = new Float64Array(distinct).fill(NEVER);
  let at = total;
  for (const { pages } of accesses.toReversed()) {
    for (let i = pages.length - 1; i >= 0; i--) {
      const page = pages[i] ?? 0;
      next[--at] = soonest[page] ?? NEVER;
      soonest[page] = at;
    }
  }
  return next;
}

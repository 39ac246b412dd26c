/**
 * What could be hit without the future: a bound between the policies and Belady's optimum.
 *
 * After HRO (Yan, Li and Towsley, "Towards optimal and online caching: a hazard rate based
 * upper bound", 2021): who can not see the future sees odds, and hits most by having those
 * pages that are most likely asked for next. Here he is told the odds that were the right
 * ones: of every class of pages, how likely one of an age is asked for again, counted over
 * the whole string, what lies ahead included. And at each prompt he has the most likely
 * pages of all that were ever seen, whether he kept them or not. No policy is so lucky, so
 * none that tells pages apart as finely as these classes do hits more.
 *
 * A class is: how often the page was found, how long that took the last time, how deep it
 * lies, and whether it was generated. Finer classes know more, until each page is a class
 * of its own and the odds are the future itself.
 *
 * Looks at every page at every prompt: for strings of some thousands of prompts.
 */
import type { AccessString } from "./accesses.js";

const OFTEN = 4;
const INTERVALS = 8;
const DEPTHS = 6;
const CLASSES = (OFTEN + 1) * (INTERVALS + 1) * DEPTHS * 2;
/** Ages in halves of octaves from a millisecond on. */
const AGES = 48;
const SHORTEST_US = 1000;

/** The most pages that odds find with room for `capacity` of them. */
export function likelyHits(string: AccessString, capacity: number): number {
  const odds = oddsOf(string);
  const pages = new Pages(string.distinct);
  const chances = new Float64Array(string.distinct);
  let hits = 0;
  for (const { happening, pages: asked, depth } of prompts(string)) {
    const { kind, at } = happening;
    if (kind === "starts") {
      for (const page of pages.seen) chances[page] = odds[pages.cell(page, at)] ?? 0;
      const has = mostLikely(pages.seen, chances, capacity);
      for (const page of asked) if (pages.knows(page)) hits += has(chances[page] ?? 0);
    }
    for (const [i, page] of asked.entries()) pages.used(page, at, depth + i, kind === "ends");
  }
  return hits;
}

/** Of each class and age: how often a page is asked for, a microsecond of having it. */
function oddsOf(string: AccessString): Float64Array {
  const asked = new Float64Array(CLASSES * AGES);
  const waited = new Float64Array(CLASSES * AGES);
  const pages = new Pages(string.distinct);
  let end = 0;
  for (const { happening, pages: all, depth } of prompts(string)) {
    end = happening.at;
    for (const [i, page] of all.entries()) {
      if (pages.knows(page)) {
        const cell = pages.cell(page, end);
        asked[cell] = (asked[cell] ?? 0) + 1;
        pages.spend(page, end, waited);
      }
      pages.used(page, end, depth + i, happening.kind === "ends");
    }
  }
  for (const page of pages.seen) pages.spend(page, end, waited);
  return asked.map((count, cell) => count / Math.max(1, waited[cell] ?? 0));
}

function* prompts({ accesses }: AccessString) {
  for (const { happening, pages, tokens } of accesses) {
    // What a turn has made lies at the end of its history.
    const depth = happening.kind === "ends" ? Math.floor(tokens / 16) - pages.length : 0;
    yield { happening, pages, depth };
  }
}

/** Whether a page of such a chance is among the `capacity` best: 1, 0, or its part of the last places. */
function mostLikely(
  seen: readonly number[],
  chances: Float64Array,
  capacity: number,
): (chance: number) => number {
  if (seen.length <= capacity) return () => 1;
  const sorted = Float64Array.from(seen, (page) => chances[page] ?? 0).sort();
  const last = sorted[sorted.length - capacity] ?? Number.POSITIVE_INFINITY;
  const better = sorted.reduce((count, chance) => count + (chance > last ? 1 : 0), 0);
  const equal = sorted.reduce((count, chance) => count + (chance === last ? 1 : 0), 0);
  return (chance) => (chance > last ? 1 : chance === last ? (capacity - better) / equal : 0);
}

/** What is known of each page without the future. */
class Pages {
  readonly seen: number[] = [];
  readonly #usedAt: Float64Array;
  readonly #class: Int32Array;
  readonly #found: Uint8Array;

  constructor(count: number) {
    this.#usedAt = new Float64Array(count).fill(-1);
    this.#class = new Int32Array(count);
    this.#found = new Uint8Array(count);
  }

  knows(page: number): boolean {
    return (this.#usedAt[page] ?? -1) >= 0;
  }

  /** Its class and age. */
  cell(page: number, now: number): number {
    return (this.#class[page] ?? 0) * AGES + ageOf(now - (this.#usedAt[page] ?? now));
  }

  used(page: number, now: number, depth: number, made: boolean): void {
    let interval = 0;
    if (!this.knows(page)) this.seen.push(page);
    else if (!made) {
      this.#found[page] = Math.min(OFTEN, (this.#found[page] ?? 0) + 1);
      interval = 1 + Math.min(INTERVALS - 1, ageOf(now - (this.#usedAt[page] ?? now)) >> 2);
    }
    const deep = Math.min(DEPTHS - 1, Math.floor(Math.log2(1 + depth)));
    const often = (this.#found[page] ?? 0) * (INTERVALS + 1) + interval;
    this.#class[page] = (often * DEPTHS + deep) * 2 + (made ? 1 : 0);
    this.#usedAt[page] = now;
  }

  /** Adds to `waited` how long the page was of each age by now. */
  spend(page: number, now: number, waited: Float64Array): void {
    const age = now - (this.#usedAt[page] ?? now);
    const first = (this.#class[page] ?? 0) * AGES;
    let from = 0;
    for (let i = 0; i < AGES && from < age; i++) {
      const to = i === AGES - 1 ? age : Math.min(age, SHORTEST_US * 2 ** ((i + 1) / 2));
      waited[first + i] = (waited[first + i] ?? 0) + to - from;
      from = to;
    }
  }
}

function ageOf(us: number): number {
  if (us < SHORTEST_US) return 0;
  return Math.min(AGES - 1, Math.floor(2 * Math.log2(us / SHORTEST_US)));
}

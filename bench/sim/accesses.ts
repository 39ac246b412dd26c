/**
 * The string of accesses of a workload: which pages each turn finds or computes, in
 * order. It depends on the workload only, so every policy and the optimum see the same.
 * Pages are named by the production pool, and numbered here.
 */
import type { Page } from "../../kernel/mm/page.js";
import { PagePool } from "../../kernel/mm/pool.js";
import { History } from "./history.js";
import type { Steps } from "./steps.js";
import { type Happening, happenings, type Workload } from "./workload.js";

/** A turn's pages: looked up when it starts, or made by it when it ends. */
export interface Access {
  readonly happening: Happening;
  /** Numbers of pages, the context's first page first. */
  readonly pages: Int32Array;
  /** Tokens of the history then. */
  readonly tokens: number;
}

export interface AccessString {
  readonly accesses: readonly Access[];
  /** Different pages in all. */
  readonly distinct: number;
  /** Pages looked up, and those of them that had been looked up or made before. */
  readonly lookups: number;
  readonly repeats: number;
  /** The most pages at one time that were used before and will be again: no more memory is of use. */
  readonly peak: number;
  readonly longest: number;
}

const NONE = new Int32Array(0);
/** Who may share: everything here is one principal's. */
export const SALT = "principal:sim";

/** Asks `steps` after each happening. */
export async function accessString(workload: Workload, steps: Steps): Promise<AccessString> {
  const pool = namesOnly();
  const numbers = new Map<string, number>();
  const histories = new Map<bigint, History>();
  const accesses: Access[] = [];
  let [lookups, repeats, longest] = [0, 0, 0];
  const all = happenings(workload);
  for (const happening of all) {
    const { kind, cid, at } = happening;
    if (kind === "closes") {
      pool.release(cid, at);
      histories.delete(cid);
      accesses.push({ happening, pages: NONE, tokens: 0 });
    } else {
      const history = histories.get(cid) ?? new History();
      histories.set(cid, history);
      const before = kind === "ends" ? pool.pagesOf(cid).length : 0;
      if (kind === "starts") history.become(happening.turn.prompt());
      else history.generate(happening.turn.output());
      const known = numbers.size;
      const held = pool.hold(cid, history, SALT).slice(before);
      const pages = Int32Array.from(held, (page) => numbered(numbers, page));
      if (kind === "starts") {
        lookups += pages.length;
        repeats += pages.filter((page) => page < known).length;
      }
      longest = Math.max(longest, history.tokens.length);
      accesses.push({ happening, pages, tokens: history.tokens.length });
    }
    await steps.one(1 / all.length);
  }
  const peak = peakOf(accesses, numbers.size);
  return { accesses, distinct: numbers.size, lookups, repeats, peak, longest };
}

function numbered(numbers: Map<string, number>, page: Page): number {
  const known = numbers.get(page.name);
  if (known !== undefined) return known;
  numbers.set(page.name, numbers.size);
  return numbers.size - 1;
}

function peakOf(accesses: readonly Access[], distinct: number): number {
  const last = new Int32Array(distinct);
  accesses.forEach(({ pages }, i) => {
    for (const page of pages) last[page] = i;
  });
  const seen = new Uint8Array(distinct);
  let [live, peak] = [0, 0];
  accesses.forEach(({ pages }, i) => {
    for (const page of pages) {
      const over = last[page] === i;
      if (seen[page] === 0 && !over) live++;
      else if (seen[page] === 1 && over) live--;
      seen[page] = over ? 2 : 1;
    }
    peak = Math.max(peak, live);
  });
  return peak;
}

/** A pool that keeps nothing: it names pages. */
function namesOnly(): PagePool {
  return new PagePool({
    engineDigest: "sim",
    frames: 0,
    blocks: 0,
    pageBytes: 1,
    costs: { rebuildUs: () => 1, readUs: () => 1 },
    eviction: () => ({
      name: "none",
      added: () => {},
      used: () => {},
      removed: () => {},
      runs: () => {},
      waits: () => {},
      closed: () => {},
      victim: () => undefined,
    }),
  });
}

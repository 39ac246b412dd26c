/**
 * What the pool's bookkeeping costs a page operation, at 1,000 and at 100,000 pages that
 * lie in RAM: the production page tables, tiers and policy, and no driver.
 *
 * The pool is full all the time, of contexts of 50 pages. What is timed, in batches:
 * - *find*: a context's burst begins; its pages are looked up, touched and loaded;
 * - *name*: a context has grown by five pages; each page of its table is looked at, and
 *   the new ones are named and put in the index;
 * - *save*: a new page is saved, and another evicted for it;
 * - *fork* and *close*: a page of a table that is copied, and let go.
 *
 * Time is the process's own CPU time, so that a busy machine counts little; the figure is
 * the median of some rounds.
 */
import { type EvictionName, evictionPolicy } from "../../kernel/mm/eviction/policies.js";
import { PAGE_TOKENS } from "../../kernel/mm/page.js";
import { PagePool } from "../../kernel/mm/pool.js";
import type { Portions } from "../../kernel/mm/tier.js";
import { random } from "../harness/random.js";
import { type Summary, summarize } from "../harness/stats.js";
import { markdownTable } from "../harness/table.js";
import { SALT } from "./accesses.js";
import { History } from "./history.js";

export const SIZES = [1000, 100_000] as const;
const CONTEXT_PAGES = 50;
/** Pages by which a context grows in a round, and then it begins anew. */
const GROWTH = 5;
const BATCH = 100;
const ROUNDS = 15;
/** From batch to batch on the pool's clock. */
const ROUND_US = 1_000_000;

/** Shares as they are by default. */
const HALF: Portions = { principal: 0.5, process: 0.5 };

const KINDS = ["find", "name", "save", "fork", "close"] as const;
export type Bookkeeping = Readonly<Record<(typeof KINDS)[number], Summary>>;

/** Microseconds of CPU for each page, by kind of operation. */
export function bookkeeping(policy: EvictionName, pages: number, rounds = ROUNDS): Bookkeeping {
  const bench = new Bench(policy, pages);
  // The first rounds are the compiler's.
  for (let i = 0; i < 3; i++) bench.round();
  const all = Array.from({ length: rounds }, () => bench.round());
  const of = (kind: (typeof KINDS)[number]): Summary => summarize(all.map((round) => round[kind]));
  return {
    find: of("find"),
    name: of("name"),
    save: of("save"),
    fork: of("fork"),
    close: of("close"),
  };
}

/** The kind of operation that costs most. */
export function dearest(costs: Bookkeeping): Summary {
  return KINDS.map((kind) => costs[kind]).reduce((a, b) => (b.median > a.median ? b : a));
}

export function bookkeepingTable(policies: readonly EvictionName[], rounds = ROUNDS): string {
  const rows = policies.map((policy) => {
    const costs = SIZES.map((pages) => bookkeeping(policy, pages, rounds));
    const cells = costs.map((each) =>
      KINDS.map((kind) => `${kind} ${each[kind].median.toFixed(2)}`).join(", "),
    );
    const [few = Number.NaN, many = Number.NaN] = costs.map((each) => dearest(each).median);
    return [policy, ...cells, `${(many / few).toFixed(2)}`];
  });
  const heads = SIZES.map((size) => `µs of CPU a page, at ${size} pages`);
  return markdownTable(["policy", ...heads, "dearest, many ÷ few"], rows);
}

class Bench {
  readonly #pool: PagePool;
  readonly #histories = new Map<bigint, History>();
  /** Pages of each context that are kept already: whoever saves goes on there, as in a slot. */
  readonly #kept = new Map<bigint, number>();
  readonly #dice = random(1);
  #now = 0;
  #made = 0;

  constructor(name: EvictionName, frames: number) {
    this.#pool = new PagePool({
      engineDigest: "bench",
      frames,
      blocks: 0,
      pageBytes: 1000,
      costs: { rebuildUs: ({ depth }) => 16_000 + depth, readUs: () => 1000 },
      eviction: (ports) => evictionPolicy(name, ports),
      portions: { frames: HALF, blocks: HALF },
    });
    // A few more than there is room for.
    const contexts = Math.ceil(frames / CONTEXT_PAGES) + 4;
    for (let cid = 1n; cid <= BigInt(contexts); cid++) {
      this.#begin(cid);
      this.#grow(cid, CONTEXT_PAGES);
    }
  }

  round(): Record<(typeof KINDS)[number], number> {
    this.#now += ROUND_US;
    const count = this.#histories.size;
    const cids = Array.from({ length: BATCH }, () => 1n + BigInt(Math.floor(this.#dice() * count)));
    const find = cpuUs(() => sum(cids, (cid) => this.#find(cid)));
    for (const cid of cids) this.#extend(cid, GROWTH);
    const name = cpuUs(() => sum(cids, (cid) => this.#name(cid)));
    const save = cpuUs(() => sum(cids, (cid) => this.#save(cid)));
    const fork = cpuUs(() => sum(cids, (cid, i) => this.#fork(cid, -1n - BigInt(i))));
    const close = cpuUs(() => sum(cids, (_, i) => this.#close(-1n - BigInt(i))));
    for (const cid of new Set(cids)) this.#renew(cid);
    return { find, name, save, fork, close };
  }

  #find(cid: bigint): number {
    const history = this.#histories.get(cid) ?? new History();
    const pages = this.#hold(cid, history);
    this.#pool.runs(cid, this.#now);
    const found = this.#pool.find(cid);
    for (const page of found) this.#pool.load(page, PAGE_TOKENS);
    this.#pool.seal(this.#now);
    this.#kept.set(cid, found.length);
    return pages;
  }

  #name(cid: bigint): number {
    return this.#hold(cid, this.#histories.get(cid) ?? new History());
  }

  /** Each context is a process's own. */
  #hold(cid: bigint, history: History): number {
    const payer = { principal: SALT, process: cid };
    return this.#pool.hold(cid, history, SALT, false, payer).length;
  }

  /** @returns how many pages it saved */
  #save(cid: bigint): number {
    let saved = 0;
    const pages = this.#pool.pagesOf(cid);
    for (let i = this.#kept.get(cid) ?? 0; i < pages.length; i++) {
      const page = pages[i];
      if (page && this.#pool.save(page, cid, 0, this.#now)) saved++;
    }
    this.#kept.set(cid, pages.length);
    this.#pool.seal(this.#now);
    this.#pool.waits(cid, { kind: cid % 2n === 0n ? "tool" : "message" }, this.#now);
    return saved;
  }

  #fork(cid: bigint, child: bigint): number {
    this.#pool.fork(cid, child);
    return this.#pool.pagesOf(child).length;
  }

  #close(cid: bigint): number {
    const pages = this.#pool.pagesOf(cid).length;
    this.#pool.release(cid, this.#now);
    return pages;
  }

  /** A context that has grown enough begins anew, so that all stay as long as they were. */
  #renew(cid: bigint): void {
    if (this.#pool.pagesOf(cid).length < 2 * CONTEXT_PAGES) return;
    this.#pool.release(cid, this.#now);
    this.#begin(cid);
    this.#grow(cid, CONTEXT_PAGES);
  }

  #begin(cid: bigint): void {
    this.#histories.set(cid, new History());
    this.#kept.set(cid, 0);
    this.#pool.runs(cid, this.#now);
  }

  #grow(cid: bigint, pages: number): void {
    this.#extend(cid, pages);
    this.#name(cid);
    this.#save(cid);
  }

  #extend(cid: bigint, pages: number): void {
    const tokens = Array.from({ length: pages * PAGE_TOKENS }, () => this.#made++ >>> 0);
    const history = this.#histories.get(cid);
    history?.become([...history.tokens, ...tokens]);
  }
}

/** Microseconds of CPU for each page of `work`, which says how many it was about. */
function cpuUs(work: () => number): number {
  const before = process.cpuUsage();
  const pages = work();
  const { user, system } = process.cpuUsage(before);
  if (pages === 0) throw new Error("a batch was about no page");
  return (user + system) / pages;
}

function sum(cids: readonly bigint[], of: (cid: bigint, i: number) => number): number {
  return cids.reduce((total, cid, i) => total + of(cid, i), 0);
}

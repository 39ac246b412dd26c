/** Hard quotas of pages: of two processes of ann and one of bob, in two models' pools. */
import { describe, expect, it } from "vitest";
import { ConfigSchema } from "../config.js";
import { memoryJournal, type Process } from "../journal/journal.js";
import { evictionPolicy } from "./eviction/policies.js";
import { PageQuotas } from "./page-quotas.js";
import { PagePool } from "./pool.js";

const PAGE = 160;
const OWNERS = { 1: "ann", 2: "ann", 3: "bob" } as const;

class Bench {
  readonly journal = memoryJournal();
  readonly quotas: PageQuotas;
  readonly pools: readonly PagePool[];
  #now = 0;
  #cids = 0n;

  constructor(limits: Record<string, number>, quota: Record<string, number> = {}) {
    const config = ConfigSchema.parse({ home: "/nowhere", limits });
    this.quotas = new PageQuotas(config.limits, this.journal);
    this.pools = [0, 1].map(() => this.#pool());
    for (const pool of this.pools) this.quotas.add(pool);
    this.journal.append({ type: "principal.added", name: "ann", createdAt: 0, quota });
    for (const [pid, principal] of Object.entries(OWNERS)) this.born(BigInt(pid), principal);
  }

  #pool(): PagePool {
    return new PagePool({
      ...{ engineDigest: "e", frames: 20, blocks: 20, pageBytes: PAGE },
      eviction: (ports) => evictionPolicy("lru", ports),
      costs: { rebuildUs: () => 10, readUs: () => 1 },
      mayEnter: (tier, payer, now) => this.quotas.makeRoom(tier, payer, PAGE, now),
    });
  }

  born(pid: bigint, principal: string, parent = 0n, quota?: Record<string, number>): void {
    this.journal.append({
      ...{ type: "proc.created", pid, parent, name: "p", principal, nice: 0 },
      ...{ spawned: parent !== 0n, log: "", at: 0, quota },
    });
  }

  process(pid: bigint): Process {
    const process = this.journal.state.processes.get(pid);
    if (!process) throw new Error(`no process ${pid}`);
    return process;
  }

  /** A new context of a process, of so many pages; how many of them found a frame. */
  keep(pid: bigint, pages: number, { pool = 0, pinned = false } = {}): number {
    const cid = ++this.#cids;
    const tokens = Array.from({ length: 16 * pages }, (_, i) => 1000 * Number(cid) + i);
    const history = { tokens, runs: [{ start: 0, given: true }] };
    const payer = { principal: this.process(pid).principal, process: pid };
    const its = this.pools[pool];
    if (!its) throw new Error(`no pool ${pool}`);
    for (const page of its.hold(cid, history, payer.principal, pinned, payer)) {
      its.save(page, cid, 0, ++this.#now);
      for (const { block } of its.seal(++this.#now)) {
        its.done({ block, write: true, slot: 0, start: 0, error: "" });
      }
    }
    for (const each of this.pools) each.invariants();
    return its.residency(cid).frames;
  }

  pages(pid: bigint): number {
    return this.quotas.ofProcess(this.process(pid), "memoryPages");
  }
}

describe("a quota of pages", () => {
  it("is none unless it is set", () => {
    const bench = new Bench({});
    bench.keep(1n, 20);
    expect(bench.quotas.ofPrincipal("ann", "memoryPages")).toBe(20);
    expect(bench.quotas.ofPrincipal("ann", "swapBytes")).toBe(20 * PAGE);
  });

  it("of a principal lets his own go, though there is room, and nobody else's", () => {
    const bench = new Bench({}, { memoryPages: 6 });
    bench.keep(3n, 5);
    bench.keep(1n, 4);
    bench.keep(2n, 5);
    expect(bench.quotas.ofPrincipal("ann", "memoryPages")).toBe(6);
    expect(bench.quotas.ofPrincipal("bob", "memoryPages")).toBe(5);
    // The last that came is there whole.
    expect([bench.pages(1n), bench.pages(2n)]).toEqual([1, 5]);
    expect(bench.pools[0]?.frames.free).toBe(9);
  });

  it("counts all models together, and takes from where he has most", () => {
    const bench = new Bench({ memoryPagesPerProcess: 6 });
    bench.keep(1n, 4);
    bench.keep(1n, 5, { pool: 1 });
    expect(bench.pages(1n)).toBe(6);
    expect(bench.pools.map(({ frames }) => frames.heldByProcess(1n))).toEqual([1, 5]);
    bench.keep(2n, 6);
    expect(bench.pages(2n)).toBe(6);
  });

  it("does not keep what has no room beside pinned pages, and says so", () => {
    const bench = new Bench({}, { memoryPages: 4 });
    expect(bench.keep(1n, 4, { pinned: true })).toBe(4);
    expect(bench.keep(2n, 3)).toBe(0);
    expect(bench.pools[0]?.counters.refused).toBe(1);
    expect(bench.pages(1n)).toBe(4);
  });

  it("of the swap file is in bytes, and frames are not touched", () => {
    const bench = new Bench({}, { swapBytes: 3 * PAGE + 1 });
    bench.keep(1n, 2);
    bench.keep(1n, 3);
    expect(bench.quotas.ofPrincipal("ann", "swapBytes")).toBe(3 * PAGE);
    expect(bench.pages(1n)).toBe(5);
  });

  it("that is lowered holds from the next page on", () => {
    const bench = new Bench({}, { memoryPages: 10 });
    bench.keep(1n, 10);
    const quota = { memoryPages: 3 };
    bench.journal.append({ type: "principal.quota", name: "ann", quota });
    bench.keep(1n, 1);
    expect(bench.pages(1n)).toBe(3);
  });

  it("that a process was given counts all that it spawned", () => {
    const bench = new Bench({});
    bench.born(10n, "ann", 1n, { memoryPages: 5 });
    bench.born(11n, "ann", 10n);
    bench.keep(10n, 4);
    bench.keep(11n, 3);
    expect(bench.pages(10n) + bench.pages(11n)).toBe(5);
    const [budget] = bench.process(11n).budgets;
    if (!budget) throw new Error("it has no budget");
    expect(bench.quotas.ofBudget(budget, "memoryPages")).toBe(5);
    bench.keep(1n, 8);
    expect(bench.pages(1n)).toBe(8);
  });
});

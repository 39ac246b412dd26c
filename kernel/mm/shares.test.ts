/** Shares of the tiers: two principals, and two processes of one. */
import { expect, it } from "vitest";
import { type EvictionName, evictionPolicy } from "./eviction/policies.js";
import type { Page, Payer } from "./page.js";
import { PagePool } from "./pool.js";
import type { Portions } from "./tier.js";

const ANN: Payer = { principal: "ann", process: 1n };
const BOB: Payer = { principal: "bob", process: 2n };
const CAROL: Payer = { principal: "carol", process: 4n };
const BOBS_OTHER: Payer = { principal: "bob", process: 3n };

/** A pool of ten frames and twenty blocks; contexts of four pages. */
class Bench {
  readonly pool: PagePool;
  #now = 0;

  constructor(
    frames: Portions,
    blocks: Portions = { principal: 1, process: 1 },
    policy: EvictionName = "lru",
  ) {
    this.pool = new PagePool({
      ...{ engineDigest: "e", frames: 10, blocks: 20, pageBytes: 160 },
      eviction: (ports) => evictionPolicy(policy, ports),
      costs: { rebuildUs, readUs: (page) => rebuildUs(page) / 10 },
      portions: { frames, blocks },
    });
  }

  /** A context's pages are saved, and written when `written`. */
  keep(cid: bigint, payer: Payer, written = false): void {
    const tokens = Array.from({ length: 64 }, (_, i) => (i === 0 ? Number(cid) : i));
    const history = { tokens, runs: [{ start: 0, given: true }] };
    for (const page of this.pool.hold(cid, history, payer.principal, false, payer)) {
      this.pool.save(page, cid, 0, ++this.#now);
      const writes = this.pool.seal(++this.#now);
      if (!written) continue;
      for (const { block } of writes) {
        this.pool.done({ block, write: true, slot: 0, start: 0, error: "" });
      }
    }
    this.pool.invariants();
  }

  held(): [ann: number, bob: number, anns: number, bobs: number] {
    const { frames, blocks } = this.pool;
    const of = (tier: typeof frames): [number, number] => [tier.heldBy("ann"), tier.heldBy("bob")];
    return [...of(frames), ...of(blocks)];
  }

  /** Pages of a context in RAM. */
  inMemory(cid: bigint): number {
    return this.pool.residency(cid).frames;
  }
}

/** All of context 1 is dear. */
function rebuildUs({ parent, tokens }: Page): number {
  if (parent) return rebuildUs(parent);
  return tokens[0] === 1 ? 1000 : 10;
}

const HALF = { principal: 0.5, process: 1 };

it("who is alone may have all", () => {
  const bench = new Bench(HALF);
  for (const cid of [1n, 2n, 3n]) bench.keep(cid, ANN, true);
  expect(bench.held()).toEqual([10, 0, 12, 0]);
});

it("who has more than his share gives way to others, down to it, and they to the policy", () => {
  const bench = new Bench(HALF);
  for (const cid of [1n, 2n, 3n]) bench.keep(cid, ANN, true);
  bench.keep(4n, BOB, true);
  expect(bench.held().slice(0, 2)).toEqual([6, 4]);
  // The page that was used longest ago goes, of him who is over by most: not of the newcomer.
  bench.keep(5n, BOB, true);
  expect(bench.held().slice(0, 2)).toEqual([5, 5]);
  expect(bench.inMemory(4n) + bench.inMemory(5n)).toBe(5);
  bench.keep(6n, ANN, true);
  expect(bench.held().slice(0, 2)).toEqual([5, 5]);
});

it("who has more than his share gives way before one whose pages are older", () => {
  const bench = new Bench(HALF);
  bench.keep(1n, BOB, true);
  for (const cid of [2n, 3n]) bench.keep(cid, ANN, true);
  expect(bench.held().slice(0, 2)).toEqual([6, 4]);
  bench.keep(4n, CAROL, true);
  // One page of Ann's; then she is within her share, and the policy takes the oldest.
  expect(bench.held().slice(0, 2)).toEqual([5, 1]);
});

it("processes of one principal have shares too", () => {
  const bench = new Bench({ principal: 1, process: 0.4 });
  for (const cid of [1n, 2n]) bench.keep(cid, BOB, true);
  bench.keep(3n, BOBS_OTHER, true);
  expect([1n, 2n, 3n].map((cid) => bench.inMemory(cid))).toEqual([2, 4, 4]);
  // Now the policy would take the pages of context 2; they are within their process's share.
  bench.keep(4n, BOBS_OTHER, true);
  expect(bench.inMemory(1n) + bench.inMemory(2n)).toBeGreaterThanOrEqual(4);
});

it("the swap file is shared in the same way", () => {
  const bench = new Bench({ principal: 1, process: 1 }, HALF);
  for (const cid of [1n, 2n, 3n, 4n, 5n]) bench.keep(cid, ANN, true);
  expect(bench.held().slice(2)).toEqual([20, 0]);
  for (const cid of [6n, 7n, 8n]) bench.keep(cid, BOB, true);
  expect(bench.held().slice(2)).toEqual([10, 10]);
});

it("pages of a principal that is gone from RAM are counted no more", () => {
  const bench = new Bench(HALF);
  bench.keep(1n, ANN);
  bench.keep(2n, BOB);
  bench.pool.lost();
  expect(bench.held()).toEqual([0, 0, 0, 0]);
});

it.each(["cost", "agent"] as const)("of his pages the one goes that %s ranks least", (policy) => {
  const bench = new Bench(HALF, undefined, policy);
  for (const cid of [1n, 2n]) bench.keep(cid, ANN, true);
  for (const cid of [3n, 4n]) bench.keep(cid, BOB, true);
  // The oldest are Ann's dear ones: by use they would go.
  expect([1n, 2n].map((cid) => bench.inMemory(cid))).toEqual([4, 1]);
});

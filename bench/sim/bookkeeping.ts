/**
 * What a policy's bookkeeping costs a page operation, at 1,000 and at 100,000 pages that
 * lie in the tier: each round lets a page go, brings a new one in and uses another.
 */
import { performance } from "node:perf_hooks";
import { type EvictionName, evictionPolicy } from "../../kernel/mm/eviction/policies.js";
import type { Page } from "../../kernel/mm/page.js";
import { random } from "../harness/random.js";
import { markdownTable } from "../harness/table.js";

const SIZES = [1000, 10_000, 100_000];
/** Pages of a context, so that most are no leaves. */
const CONTEXT_PAGES = 50;
const ROUNDS = 100_000;
const OPERATIONS_A_ROUND = 4;
const REPEATS = 3;
/** From round to round on the policies' clock. */
const ROUND_US = 10_000;

/** Microseconds for each operation (victim, removed, added, used), the least of some repeats. */
export function bookkeepingUs(policy: EvictionName, pages: number, rounds = ROUNDS): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < REPEATS; i++) best = Math.min(best, once(policy, pages, rounds));
  return best;
}

export function bookkeepingTable(policies: readonly EvictionName[]): string {
  const rows = policies.map((policy) => [
    policy,
    ...SIZES.map((pages) => `${bookkeepingUs(policy, pages).toFixed(2)} µs`),
  ]);
  return markdownTable(["a page operation of", ...SIZES.map((size) => `${size} pages`)], rows);
}

function once(name: EvictionName, count: number, rounds: number): number {
  const dice = random(1);
  const policy = evictionPolicy(name, {
    rebuildUs: (page) => 16_000 + page.depth,
    fetchUs: () => Number.POSITIVE_INFINITY,
    bytes: () => 1000,
    pinned: () => false,
  });
  const last = new Map<bigint, Page | undefined>();
  const contexts = Math.max(1, Math.floor(count / CONTEXT_PAGES));
  let now = 0;
  const grow = (cid: bigint): void => {
    const page = newPage(last.get(cid));
    last.set(cid, page);
    policy.added(page, cid, now);
  };
  for (let i = 0; i < contexts; i++) {
    const cid = BigInt(i);
    policy.runs(cid, now);
    for (let k = 0; k < count / contexts; k++) grow(cid);
    policy.waits(cid, { kind: i % 2 === 0 ? "tool" : "message" }, now);
  }
  const begun = performance.now();
  for (let i = 0; i < rounds; i++) {
    now += ROUND_US;
    const victim = policy.victim(now);
    if (!victim) throw new Error("there is no victim");
    policy.removed(victim);
    const cid = BigInt(Math.floor(dice() * contexts));
    grow(cid);
    const page = last.get(cid);
    if (page) policy.used(page, cid, now);
  }
  return ((performance.now() - begun) * 1000) / (rounds * OPERATIONS_A_ROUND);
}

function newPage(parent: Page | undefined): Page {
  const place = { frame: -1, block: -1, writing: false, pins: 0, lastUsed: 0 };
  const depth = parent ? parent.depth + 1 : 0;
  return { name: "", parent, tokens: [], ways: 0, depth, refs: 0, children: 0, ...place };
}

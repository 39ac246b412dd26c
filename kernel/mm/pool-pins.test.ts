/** Pinned contexts: what is in RAM stays there, until it is pinned no more or the context ends. */
import { describe, expect, it } from "vitest";
import { evictionPolicy } from "./eviction/policies.js";
import { PagePool } from "./pool.js";

const given = (first: number) => ({
  tokens: Array.from({ length: 32 }, (_, i) => (i === 0 ? first : i)),
  runs: [{ start: 0, given: true }],
});

describe.each(["lru", "cost", "agent"] as const)("under %s", (policy) => {
  const full = () => {
    const pool = new PagePool({
      ...{ engineDigest: "e", frames: 2, blocks: 0, pageBytes: 160 },
      eviction: (ports) => evictionPolicy(policy, ports),
      costs: { rebuildUs: () => 10, readUs: () => 1 },
    });
    let now = 0;
    const keep = (cid: bigint, pinned = false): void => {
      for (const page of pool.hold(cid, given(Number(cid)), "s", pinned)) {
        pool.save(page, cid, 0, ++now);
      }
      pool.seal(++now);
    };
    keep(1n, true);
    keep(2n);
    return { pool, keep };
  };

  it("nothing of a pinned context goes for another's sake", () => {
    const { pool } = full();
    expect([pool.find(1n).length, pool.find(2n).length]).toEqual([2, 0]);
    pool.invariants();
  });

  it.each([
    ["unpinned", (pool: PagePool) => void pool.hold(1n, given(1), "s", false)],
    ["closed", (pool: PagePool) => pool.release(1n, 100)],
    ["cut", (pool: PagePool) => void pool.hold(1n, { tokens: [], runs: [] }, "s", true)],
  ])("what it had may go when it is %s", (_, end) => {
    const { pool, keep } = full();
    end(pool);
    keep(3n);
    expect(pool.find(3n)).toHaveLength(2);
    pool.invariants();
  });
});

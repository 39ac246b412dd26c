/** Erasing what was made for a principal: one that is removed leaves nothing to be found. */
import { describe, expect, it } from "vitest";
import { evictionPolicy } from "./eviction/policies.js";
import { PagePool } from "./pool.js";

const history = (tokens: number) => ({
  tokens: Array.from({ length: tokens }, (_, i) => i),
  runs: [{ start: 0, given: true }],
});

function world() {
  const pool = new PagePool({
    ...{ engineDigest: "e", frames: 8, blocks: 8, pageBytes: 160 },
    eviction: (ports) => evictionPolicy("lru", ports),
    costs: { rebuildUs: () => 10, readUs: () => 1 },
  });
  let now = 0;
  /** A context's pages are kept, in RAM and in the swap file. */
  const keep = (cid: bigint, principal: string, tokens = 48, salt = principal): void => {
    const payer = { principal, process: cid };
    for (const page of pool.hold(cid, history(tokens), salt, false, payer)) {
      pool.save(page, cid, 0, ++now);
    }
    for (let writes = pool.seal(++now); writes.length > 0; writes = pool.seal(++now)) {
      for (const { block } of writes)
        pool.done({ block, write: true, slot: 0, start: 0, error: "" });
    }
  };
  return { pool, keep };
}

describe("erasing a principal", () => {
  it("frees every place of its pages, and finds them no more; another's stay", () => {
    const { pool, keep } = world();
    keep(1n, "alice");
    keep(2n, "bob", 32);
    pool.release(1n, 100);
    expect([pool.frames.free, pool.blocks.free]).toEqual([3, 3]);
    pool.erase("alice");
    pool.invariants();
    expect([pool.frames.free, pool.blocks.free]).toEqual([6, 6]);
    expect(pool.find(2n)).toHaveLength(2);
    pool.hold(3n, history(48), "alice");
    expect(pool.find(3n)).toEqual([]);
  });

  it("takes along what it made for all, and what others have behind that; theirs before it stays", () => {
    const { pool, keep } = world();
    keep(1n, "bob", 16, "all");
    keep(2n, "alice", 32, "all");
    keep(3n, "bob", 48, "all");
    pool.release(2n, 100);
    expect(pool.find(3n)).toHaveLength(3);
    pool.erase("alice");
    pool.invariants();
    expect([pool.frames.free, pool.blocks.free]).toEqual([7, 7]);
    expect(pool.find(3n)).toHaveLength(1);
  });

  it("while a page is being written gives its block back when the write is over", () => {
    const { pool, keep } = world();
    for (const page of pool.hold(1n, history(16), "alice")) pool.save(page, 1n, 0, 1);
    const [write] = pool.seal(2);
    pool.release(1n, 3);
    pool.erase("alice");
    expect(pool.blocks.free).toBe(7);
    pool.done({ block: write?.block ?? -1, write: true, slot: 0, start: 0, error: "" });
    expect([pool.frames.free, pool.blocks.free]).toEqual([8, 8]);
    pool.invariants();
    keep(2n, "bob");
  });
});

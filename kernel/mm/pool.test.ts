import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { evictionPolicy } from "./eviction/policies.js";
import type { EvictionPorts } from "./eviction/policy.js";
import type { PagedHistory } from "./names.js";
import type { Page } from "./page.js";
import { PagePool, type PoolOptions } from "./pool.js";

const lru = (ports: EvictionPorts) => evictionPolicy("lru", ports);
const costs = { rebuildUs: () => 10, readUs: () => 1 };

function pool(frames: number, blocks: number, more: Partial<PoolOptions> = {}): PagePool {
  const sizes = { frames, blocks, pageBytes: 160 };
  return new PagePool({ engineDigest: "e", ...sizes, eviction: lru, costs, ...more });
}

/** `length` given tokens that begin with `first`. */
function given(length: number, first = 0): PagedHistory {
  const tokens = Array.from({ length }, (_, i) => (i === 0 ? first : i));
  return { tokens, runs: [{ start: 0, given: true }] };
}

let now = 0;
/** Holds a history and saves all its pages. */
function kept(p: PagePool, cid: bigint, history: PagedHistory, salt = "s"): readonly Page[] {
  const pages = p.hold(cid, history, salt);
  for (const page of pages) p.save(page, cid, 0, ++now);
  return pages;
}
/** Seals, and lets every write go well. */
function written(p: PagePool, first = p.seal(++now)): void {
  for (let writes = first; writes.length > 0; writes = p.seal(++now)) {
    for (const { block } of writes) p.done({ block, write: true, slot: 0, start: 0, error: "" });
  }
}
const readOf = (page: Page, error = "") => ({
  ...{ block: page.block, write: false, slot: 0, start: page.depth * 16, error },
});

describe("the page pool", () => {
  it("finds what another context of the same salt and history has kept", () => {
    const p = pool(8, 0);
    kept(p, 1n, given(50));
    expect(p.hold(2n, given(64), "s")).toHaveLength(4);
    expect(p.find(2n).map(({ frame }) => frame)).toEqual([0, 1, 2]);
    p.hold(3n, given(50), "t");
    p.hold(4n, given(50, 9), "s");
    const decoded = { tokens: given(50).tokens, runs: [{ start: 0, given: false }] };
    p.hold(5n, decoded, "s");
    expect([3n, 4n, 5n].map((cid) => p.find(cid).length)).toEqual([0, 0, 0]);
    p.seal(++now);
    p.invariants();
  });

  it("keeps pages that no context holds, for whoever comes with the same history", () => {
    const p = pool(8, 0);
    kept(p, 1n, given(40));
    p.release(1n, ++now);
    p.seal(++now);
    p.invariants();
    p.hold(2n, given(40), "s");
    expect(p.find(2n)).toHaveLength(2);
  });

  it("takes another page of the same name for a miss", () => {
    const p = pool(8, 0, { nameOf: () => "one name for all" });
    const [first] = kept(p, 1n, given(16));
    const [second] = kept(p, 2n, given(16, 5));
    expect(first?.frame).toBe(0);
    expect(second?.frame).toBe(-1);
    expect([p.find(1n), p.find(2n)]).toEqual([[first], []]);
    p.seal(++now);
    p.invariants();
  });

  it("lets a page go that no longer stands in the history: a run of one token that grew", () => {
    const p = pool(8, 0);
    const tokens = given(33).tokens;
    const runs = [
      { start: 0, given: false },
      { start: 15, given: true },
    ];
    const [before] = kept(p, 1n, { tokens: tokens.slice(0, 16), runs });
    const [after] = p.hold(1n, { tokens, runs }, "s");
    expect(after).not.toBe(before);
    expect(p.find(1n)).toHaveLength(0);
    p.hold(1n, given(5), "s");
    expect(p.pagesOf(1n)).toHaveLength(0);
  });

  it("evicts leaves first, and keeps what a plan uses until it is made", () => {
    const p = pool(2, 0);
    const pages = kept(p, 1n, given(32));
    p.seal(++now);
    p.load(pages[1] as Page, 16);
    const [other] = p.hold(2n, given(16, 7), "s");
    expect(p.save(other as Page, 2n, 1, ++now)).toBeUndefined();
    expect(p.counters.refused).toBe(1);
    p.seal(++now);
    expect(p.save(other as Page, 2n, 1, ++now)).toMatchObject({ slot: 1, start: 0, frame: 1 });
    expect(pages.map(({ frame }) => frame)).toEqual([0, -1]);
    p.seal(++now);
    p.invariants();
  });

  it("writes through, and reads what has lost its frame", () => {
    const p = pool(2, 4);
    const pages = kept(p, 1n, given(32));
    written(p);
    kept(p, 2n, given(32, 7));
    written(p);
    expect(pages.map(({ frame }) => frame)).toEqual([-1, -1]);
    expect(p.find(1n)).toHaveLength(2);
    expect(p.residency(1n)).toEqual({ pages: 2, frames: 0, blocks: 2 });
    const page = pages[1] as Page;
    expect(p.read(page, 3)).toMatchObject({ slot: 3, start: 16, block: page.block });
    expect(p.done(readOf(page))).toBe(true);
    p.invariants();
    expect(p.counters).toMatchObject({ saved: 640, written: 640, read: 160, badPages: 0 });
  });

  it("gives up a block that turns out bad, and those behind it", () => {
    const p = pool(3, 4);
    const pages = kept(p, 1n, given(48));
    written(p);
    kept(p, 2n, given(48, 7));
    p.seal(++now);
    const bad = pages[0] as Page;
    p.read(bad, 0);
    expect(p.done(readOf(bad, "bad page"))).toBe(false);
    p.invariants();
    expect(p.find(1n)).toEqual([]);
    expect(p.counters).toMatchObject({ badPages: 1, swapErrors: 0 });
  });

  it("gives a block away only when nothing reads or writes it any more", () => {
    const p = pool(1, 1);
    const [first] = kept(p, 1n, given(16));
    const [write] = p.seal(++now);
    expect(write).toMatchObject({ frame: 0, block: 0 });
    // Not written yet: neither place can be had.
    const [second] = p.hold(2n, given(16, 7), "s");
    expect(p.save(second as Page, 2n, 0, ++now)).toBeUndefined();
    p.done({ block: 0, write: true, slot: 0, start: 0, error: "disk full" });
    expect([first?.block, first?.frame, p.blocks.free]).toEqual([-1, 0, 1]);
    expect(p.counters.swapErrors).toBe(1);
    p.invariants();
  });

  it("keeps what was written when the driver is gone, and nothing else", () => {
    const p = pool(8, 8);
    const pages = [...kept(p, 1n, given(32))];
    written(p);
    const later = kept(p, 1n, given(48));
    expect(p.seal(++now)).toHaveLength(1);
    p.lost();
    p.invariants();
    expect(pages.map(({ block }) => block >= 0)).toEqual([true, true]);
    expect(later.map(({ frame }) => frame)).toEqual([-1, -1, -1]);
    expect(p.find(1n)).toHaveLength(2);
    expect(p.done({ block: 2, write: true, slot: 0, start: 0, error: "" })).toBe(false);
    p.refit(8, 0);
    p.invariants();
    expect(p.find(1n)).toEqual([]);
  });

  it("stops writing to a disk that fails, until there is another driver", () => {
    const p = pool(32, 32);
    kept(p, 1n, given(16 * 20));
    let asked = 0;
    for (let writes = p.seal(++now); writes.length > 0; writes = p.seal(++now)) {
      for (const { block } of writes) {
        asked++;
        p.done({ block, write: true, slot: 0, start: 0, error: "no space" });
      }
      for (const page of p.pagesOf(1n)) p.save(page, 1n, 0, ++now);
    }
    expect([asked > 7, p.backlog]).toEqual([true, 0]);
    p.invariants();
  });

  it("writes again what the driver had no room for, no more at once than it takes", () => {
    const p = pool(64, 64);
    kept(p, 1n, given(16 * 40));
    kept(p, 2n, given(16 * 8, 7));
    const copies: number[] = [];
    const sent: number[] = [];
    do {
      const writes = p.seal(++now);
      sent.push(copies.length + writes.length);
      for (const { block } of writes) {
        // It takes four, no more.
        if (copies.length < 4) copies.push(block);
        else p.done({ block, write: true, slot: 0, start: 0, error: "busy" });
      }
      p.invariants();
      const block = copies.shift() ?? -1;
      expect(p.done({ block, write: true, slot: 0, start: 0, error: "" })).toBe(true);
    } while (copies.length > 0);
    expect(p.blocks.free).toBe(64 - 48);
    expect(p.counters).toMatchObject({ written: 48 * 160, swapErrors: 0 });
    expect(sent[0]).toBe(32);
    expect(Math.max(...sent.slice(1))).toBeLessThan(7);
  });

  it("tells no policy of a context that was closed before its pages were written", () => {
    const closed = new Set<bigint>();
    const late: bigint[] = [];
    const p = pool(64, 64, {
      eviction: (ports) => {
        const policy = evictionPolicy("agent", ports);
        const { added, closed: close } = policy;
        policy.added = (page, cid, at) => {
          if (closed.has(cid)) late.push(cid);
          added.call(policy, page, cid, at);
        };
        policy.closed = (cid, at) => {
          closed.add(cid);
          close.call(policy, cid, at);
        };
        return policy;
      },
    });
    kept(p, 1n, given(16 * 40));
    const first = p.seal(++now);
    p.release(1n, ++now);
    written(p, first);
    expect([p.blocks.free, closed.size, late]).toEqual([64 - 40, 1, []]);
  });

  it("takes a driver for broken that has no room for anything", () => {
    const p = pool(32, 32);
    kept(p, 1n, given(16));
    let asked = 0;
    for (; p.backlog > 0 && asked < 9; asked++) {
      for (const { block } of p.seal(++now)) {
        p.done({ block, write: true, slot: 0, start: 0, error: "busy" });
      }
    }
    expect([asked, p.counters.swapErrors]).toEqual([1, 1]);
  });

  it("keeps a tail for its context and its forks alone, until they are gone", () => {
    const p = pool(4, 4);
    kept(p, 1n, given(16));
    expect(p.saveTail(1n, given(21), 21, 2, ++now)).toMatchObject({ slot: 2, start: 16, count: 5 });
    p.fork(1n, 2n);
    p.seal(++now);
    expect(p.tailOf(2n)).toBe(p.tailOf(1n));
    // Longer now: the tail still stands. Another history: it does not.
    p.hold(1n, given(30), "s");
    expect(p.tailOf(1n)?.tokens).toHaveLength(5);
    p.release(1n, ++now);
    p.invariants();
    expect(p.frames.free).toBe(2);
    p.releaseTail(2n);
    expect(p.frames.free).toBe(3);
    p.invariants();
  });
});

describe("the pool's books", () => {
  const history = fc.record({
    length: fc.integer({ min: 1, max: 90 }),
    first: fc.nat(2),
    decodedFrom: fc.option(fc.nat(90), { nil: undefined }),
  });
  const error = fc.constantFrom("", "", "", "bad page", "busy");
  const op = fc.oneof(
    fc.record({
      do: fc.constant("hold"),
      cid: fc.nat(4),
      history,
      salt: fc.constantFrom("a", "b"),
    }),
    fc.record({ do: fc.constant("save"), cid: fc.nat(4), n: fc.nat(6) }),
    fc.record({ do: fc.constant("tail"), cid: fc.nat(4), history }),
    fc.record({ do: fc.constant("fork"), cid: fc.nat(4), n: fc.nat(4) }),
    fc.record({ do: fc.constant("load"), cid: fc.nat(4), n: fc.nat(6) }),
    fc.record({ do: fc.constant("read"), cid: fc.nat(4), n: fc.nat(6) }),
    fc.record({ do: fc.constant("seal") }),
    fc.record({ do: fc.constant("done"), n: fc.nat(9), error }),
    fc.record({ do: fc.constant("runs"), cid: fc.nat(4) }),
    fc.record({ do: fc.constant("release"), cid: fc.nat(4) }),
    fc.record({ do: fc.constant("lost"), n: fc.nat(20) }),
  ) as fc.Arbitrary<Op>;
  interface Op {
    readonly do: string;
    readonly cid: number;
    readonly n: number;
    readonly salt: string;
    readonly error: string;
    readonly history: { length: number; first: number; decodedFrom: number | undefined };
  }

  function historyOf({ length, first, decodedFrom }: Op["history"]): PagedHistory {
    const { tokens, runs } = given(length, first);
    if (decodedFrom === undefined || decodedFrom >= length) return { tokens, runs };
    const generated = { start: decodedFrom, given: false };
    return { tokens, runs: decodedFrom === 0 ? [generated] : [...runs, generated] };
  }

  it.each(["lru", "cost", "agent"] as const)("add up after every operation, under %s", (name) => {
    fc.assert(
      fc.property(fc.nat(6), fc.nat(6), fc.array(op, { maxLength: 80 }), (frames, blocks, ops) => {
        const half = { principal: 0.5, process: 0.5 };
        const portions = { frames: half, blocks: half };
        const p = pool(frames, blocks, {
          eviction: (ports) => evictionPolicy(name, ports),
          portions,
        });
        const histories = new Map<bigint, PagedHistory>();
        let moving: { block: number; write: boolean; start: number }[] = [];
        let time = 0;
        for (const o of ops) {
          const cid = BigInt(o.cid ?? 0);
          const page = p.pagesOf(cid)[o.n];
          time += 1000;
          if (o.do === "hold") {
            const h = historyOf(o.history);
            histories.set(cid, h);
            p.hold(cid, h, o.salt);
          } else if (o.do === "save" && page) p.save(page, cid, 0, time);
          else if (o.do === "tail") {
            const h = histories.get(cid);
            if (h) p.saveTail(cid, h, Math.min(h.tokens.length, o.history.length), 0, time);
          } else if (o.do === "fork") {
            const h = histories.get(cid);
            if (h && !histories.has(BigInt(o.n))) {
              p.fork(cid, BigInt(o.n));
              histories.set(BigInt(o.n), h);
            }
          } else if (o.do === "load" && page && page.frame >= 0) p.load(page, 16);
          else if (o.do === "read" && page && page.block >= 0 && !page.writing) {
            p.read(page, 0);
            moving.push({ block: page.block, write: false, start: page.depth * 16 });
          } else if (o.do === "seal") {
            for (const { block } of p.seal(time)) moving.push({ block, write: true, start: 0 });
          } else if (o.do === "done") {
            const [one] = moving.splice(o.n % Math.max(1, moving.length), 1);
            if (one) p.done({ ...one, slot: 0, error: o.error });
          } else if (o.do === "runs") p.runs(cid, time);
          else if (o.do === "release") {
            histories.delete(cid);
            p.release(cid, time);
          } else if (o.do === "lost" && o.n === 0) {
            moving = [];
            p.lost();
          }
          p.invariants();
        }
        for (const cid of histories.keys()) p.release(cid, time);
        for (const one of moving) p.done({ ...one, slot: 0, error: "" });
        p.lost();
        p.invariants();
        expect(p.frames.free).toBe(frames);
      }),
      { numRuns: 300 },
    );
  });
});

/** What paging is for, counted on the kernel's parts around one driver. */
import { describe, expect, it } from "vitest";
import { evictionPolicy } from "../../kernel/mm/eviction/policies.js";
import { PageCosts } from "../../kernel/mm/page-costs.js";
import { PagePool } from "../../kernel/mm/pool.js";
import type { Burst } from "../../kernel/sched/burst.js";
import { roundRobin } from "../../kernel/sched/policies/rr.js";
import { MemorySwap } from "../../servers/llm/engine/testing/memory-swap.js";
import { EOS } from "../support/in-process-driver.js";
import { Machine, type Turn } from "./machine.js";

/** 150 tokens, and one of its own. */
const PREFIX = Array.from({ length: 150 }, (_, i) => (i * 5) % EOS);
const prompt = (own: number): Turn => ({
  given: [...PREFIX, own, own],
  ...{ maxTokens: 6, seed: 7n, temperature: 0.8 },
});
const PAGES = Math.floor(PREFIX.length / 16);

function machine(slots: number, frames: number, blocks: number, quantum = 100, oneWay = false) {
  const swap = new MemorySwap(blocks);
  const pool = new PagePool({
    ...{ engineDigest: "hash", pageBytes: 64, frames, blocks, costs: new PageCosts(64) },
    eviction: (ports) => evictionPolicy("lru", ports),
  });
  return Object.assign(new Machine(slots, roundRobin(quantum), { pool, swap }, oneWay), {
    pool,
    swap,
  });
}

describe("contexts with the same beginning", () => {
  it("compute it once, when they come at the same time", async () => {
    await using m = machine(8, 100, 0);
    const bursts: Burst[] = [];
    const turns = Array.from({ length: 16 }, (_, i) =>
      m.turn(m.openContext(), prompt(i), 0, (burst) => bursts.push(burst)),
    );
    await Promise.all(turns);
    m.invariants();
    const own = PREFIX.length + 2 - PAGES * 16;
    expect(m.loop.counters.tokensPrefilled).toBe(PREFIX.length + 2 + 15 * own);
    expect(bursts.map(({ cached }) => cached)).toEqual([0, ...Array(15).fill(PAGES * 16)]);
    expect(m.placer.recomputed).toBe(0);
  });

  it("go on when the one that computes it is cancelled", async () => {
    await using m = machine(4, 100, 0);
    const first = m.openContext();
    let computing: Burst | undefined;
    m.turn(first, prompt(1), 0, (burst) => {
      computing = burst;
    }).catch(() => {});
    const second = m.turn(m.openContext(), prompt(2), 0, () => {});
    while (m.loop.counters.tokensPrefilled < 40) await new Promise((r) => setImmediate(r));
    if (computing) m.cancel(computing);
    expect(await second).toMatchObject({ kind: "finished" });
    m.invariants();
    expect(m.loop.counters.tokensPrefilled).toBeLessThan(2 * PREFIX.length);
  });

  it("are not computed again after the driver died, when there is a swap file", async () => {
    await using m = machine(2, 100, 100);
    await m.turn(m.openContext(), prompt(1), 0, () => {});
    while (m.pool.counters.written < PAGES * 64) await new Promise((r) => setImmediate(r));
    m.driver.crash();
    await m.settled();
    const before = m.loop.counters.tokensPrefilled;
    const cids = [m.openContext(), m.openContext()];
    await Promise.all(cids.map((cid, i) => m.turn(cid, prompt(i + 2), 0, () => {})));
    m.invariants();
    // One reads, the other waits for it.
    expect(m.pool.counters.read).toBe(PAGES * 64);
    expect(m.loop.counters.tokensPrefilled - before).toBe(2 * (PREFIX.length + 2 - PAGES * 16));
  });
});

describe("what a call has to enter, known when it comes", () => {
  const short = (...given: number[]): Turn => ({ ...prompt(1), given, maxTokens: 3, seed: 3n });

  /** Of a turn that is over: what was said to be missing of it, and what was. */
  async function missed(m: Machine, cid: bigint, turn: Turn): Promise<[said: number, was: number]> {
    let burst: Burst | undefined;
    await m.turn(cid, turn, 0, (mine) => {
      burst = mine;
    });
    m.invariants();
    if (!burst) throw new Error("no burst");
    return [burst.missing, burst.spec.genStart - burst.cached];
  }

  it.each([
    [true, "with one way into a slot"],
    [false, "with two"],
  ])("is what is not found then: %s, %s", async (oneWay) => {
    await using m = machine(1, 100, 0, 100, oneWay);
    const [first, other] = [m.openContext(), m.openContext()];
    const all = PREFIX.length + 2;
    expect(await missed(m, first, prompt(1))).toEqual([all, all]);
    // It stands in the slot, but for the last token that was generated.
    expect(await missed(m, first, short(1, 2, 3))).toEqual([4, 4]);
    // Another context, of which the full pages at its beginning are kept.
    const own = all - PAGES * 16;
    expect(await missed(m, other, prompt(2))).toEqual([own, own]);
    // The first lost the slot. Its pages are kept, its tail among them.
    const [said, was] = await missed(m, first, short(4, 5));
    expect(said).toBe(was);
    expect(said).toBeLessThan(16);
  });

  it("is all of it where nothing is kept and the slot is another's", async () => {
    await using m = machine(1, 0, 0);
    const [first, other] = [m.openContext(), m.openContext()];
    await missed(m, first, prompt(1));
    await missed(m, other, prompt(2));
    const all = m.tokens(first).length + 2;
    expect(await missed(m, first, short(1, 2))).toEqual([all, all]);
  });
});

describe("a switch", () => {
  it("moves pages and the tail, and computes no more than the last token again", async () => {
    await using m = machine(1, 100, 0, 3);
    const turns = [1, 2, 3].map((own) => m.turn(m.openContext(), prompt(own), 0, () => {}));
    await Promise.all(turns);
    m.invariants();
    expect(m.sched.contextSwitches).toBeGreaterThan(2);
    expect(m.placer.recomputed).toBeLessThanOrEqual(m.sched.contextSwitches);
  });
});

describe("a fork", () => {
  it("of a context in a slot computes nothing but its last token", async () => {
    await using m = machine(4, 100, 0);
    const source = m.openContext();
    await m.turn(source, prompt(1), 0, () => {});
    const before = m.loop.counters;
    const entered = before.tokensPrefilled + before.tokensDecoded;
    const more: Turn = { given: [1, 2, 3], maxTokens: 1, seed: 1n, temperature: 0 };
    await Promise.all([1, 2, 3].map(() => m.turn(m.fork(source), more, 0, () => {})));
    m.invariants();
    const after = m.loop.counters;
    // The three that are given, and the last that was generated, which was not in the slot yet.
    expect(after.tokensPrefilled + after.tokensDecoded - entered).toBeLessThanOrEqual(3 * 4);
  });
});

describe("an answer", () => {
  // A seed with which no end of a turn is sampled.
  const answer: Turn = { ...prompt(1), maxTokens: 36, seed: 3n };
  const given = answer.given.length;

  it.each([
    [true, "all of it where all ways in are one"],
    [false, "no more than what was given where they are not"],
  ])("that is given to another context finds pages: %s: %s", async (oneWay) => {
    await using m = machine(4, 100, 0, 100, oneWay);
    const first = m.openContext();
    await m.turn(first, answer, 0, () => {});
    const said = m.tokens(first);
    expect(said.length).toBe(given + answer.maxTokens);
    let other: Burst | undefined;
    const pasted: Turn = { ...answer, given: [...said, 5, 5], maxTokens: 1 };
    await m.turn(m.openContext(), pasted, 0, (burst) => {
      other = burst;
    });
    m.invariants();
    // The last token was never in a slot.
    const length = oneWay ? said.length - 1 : given;
    expect(other?.cached).toBe(Math.floor(length / 16) * 16);
  });

  it.each([true, false])(
    "that is lost enters again by prefill where it may: %s",
    async (oneWay) => {
      await using m = machine(1, 100, 0, 100, oneWay);
      const cid = m.openContext();
      await m.turn(cid, answer, 0, () => {});
      m.driver.crash();
      await m.settled();
      const { tokensPrefilled, tokensDecoded } = m.loop.counters;
      await m.turn(cid, { ...answer, given: [1, 2, 3], maxTokens: 1 }, 0, () => {});
      m.invariants();
      const all = m.tokens(cid).length - 1;
      const decoded = oneWay ? 0 : answer.maxTokens;
      expect(m.loop.counters.tokensPrefilled - tokensPrefilled).toBe(all - decoded);
      expect(m.loop.counters.tokensDecoded - tokensDecoded).toBe(decoded);
    },
  );
});

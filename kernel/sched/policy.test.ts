/** One suite for every policy: what each must hold, whatever it prefers. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Candidate, Policy } from "./policy.js";
import { priority } from "./priority.js";
import { roundRobin } from "./rr.js";

const policies: Policy[] = [roundRobin(8), priority(8, 1000)];

function candidate(over: Partial<Candidate> & { id: bigint }): Candidate {
  return {
    running: false,
    nice: 0,
    order: Number(over.id),
    readySince: 0,
    quantumUsed: 0,
    attained: 0,
    rebuildCost: 0,
    ...over,
  };
}

const candidates = fc
  .array(
    fc.record({
      running: fc.boolean(),
      nice: fc.integer({ min: -20, max: 19 }),
      readySince: fc.nat(100_000),
      quantumUsed: fc.nat(64),
      attained: fc.nat(1000),
      rebuildCost: fc.nat(2000),
    }),
    { maxLength: 40 },
  )
  .map((list) => list.map((c, i) => candidate({ ...c, id: BigInt(i + 1) })));

describe.each(policies)("policy $name", (policy) => {
  it("fills the slots, with distinct candidates, and never more", () => {
    fc.assert(
      fc.property(candidates, fc.integer({ min: 1, max: 16 }), (list, slots) => {
        // At most `slots` can be running.
        let running = 0;
        const input = list.map((c) => ({ ...c, running: c.running && running++ < slots }));
        const chosen = policy.choose({ now: 100_000, slots, candidates: input });
        expect(new Set(chosen).size).toBe(chosen.length);
        expect(chosen.length).toBe(Math.min(slots, input.length));
        for (const id of chosen) expect(input.some((c) => c.id === id)).toBe(true);
      }),
    );
  });

  it("is pure: the same input, the same choice", () => {
    fc.assert(
      fc.property(candidates, (list) => {
        const input = { now: 5, slots: 64, candidates: list };
        expect(policy.choose(input)).toEqual(policy.choose(structuredClone(input)));
      }),
    );
  });

  it("keeps a burst that has not used its quantum", () => {
    const running = candidate({ id: 1n, running: true, quantumUsed: 7 });
    const other = candidate({ id: 2n, nice: -20 });
    expect(policy.choose({ now: 9, slots: 1, candidates: [other, running] })).toEqual([1n]);
  });

  it("starves nobody: whoever waits runs after a bounded number of turns", () => {
    const waiting = new Map<bigint, number>();
    let list = Array.from({ length: 12 }, (_, i) =>
      candidate({ id: BigInt(i + 1), nice: i === 0 ? 19 : -20 }),
    );
    for (let now = 0, turn = 0; turn < 2000; turn++, now += 1000) {
      const chosen = new Set(policy.choose({ now, slots: 2, candidates: list }));
      list = list.map((c) => {
        const runs = chosen.has(c.id);
        waiting.set(c.id, runs ? 0 : (waiting.get(c.id) ?? 0) + 1);
        expect(waiting.get(c.id)).toBeLessThan(200);
        const readySince = c.running && !runs ? now : c.readySince;
        return {
          ...c,
          running: runs,
          readySince,
          quantumUsed: runs && c.running ? c.quantumUsed + 8 : 0,
        };
      });
    }
  });
});

describe("rr", () => {
  it("lets who waited longest replace who used its quantum", () => {
    const list = [
      candidate({ id: 1n, running: true, quantumUsed: 8 }),
      candidate({ id: 2n, readySince: 50 }),
      candidate({ id: 3n, readySince: 40 }),
    ];
    expect(roundRobin(8).choose({ now: 100, slots: 1, candidates: list })).toEqual([3n]);
  });
  it("does not switch to gain less than the switch costs", () => {
    const list = [
      candidate({ id: 1n, running: true, quantumUsed: 8, rebuildCost: 1000 }),
      candidate({ id: 2n }),
    ];
    expect(roundRobin(8).choose({ now: 100, slots: 1, candidates: list })).toEqual([1n]);
  });
});

describe("priority", () => {
  it("runs the lowest nice value first", () => {
    const list = [candidate({ id: 1n, nice: 5 }), candidate({ id: 2n, nice: -5 })];
    expect(priority(8, 1e6).choose({ now: 0, slots: 1, candidates: list })).toEqual([2n]);
  });
  it("ages: a long wait outranks a better nice value", () => {
    const list = [
      candidate({ id: 1n, nice: 5, readySince: 0 }),
      candidate({ id: 2n, nice: -5, readySince: 11_000_000 }),
    ];
    expect(priority(8, 1e6).choose({ now: 11_000_000, slots: 1, candidates: list })).toEqual([1n]);
  });
});

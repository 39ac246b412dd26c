import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeRoom } from "./budget.js";

const MIB = 1 << 20;
const tenant = (name: string, memory: number, idle: boolean, lastUsed = 0) => ({
  ...{ name, memory: memory * MIB, idle, lastUsed },
});
const going = (need: number, budget: number, ...tenants: ReturnType<typeof tenant>[]): string[] =>
  makeRoom("new", need * MIB, budget * MIB, tenants).map(({ name }) => name);

describe("making room", () => {
  it("asks nobody to go while there is room", () => {
    expect(going(4, 10, tenant("a", 6, true))).toEqual([]);
  });
  it("asks those used longest ago first, and no more than it must", () => {
    const all = [tenant("a", 3, true, 30), tenant("b", 3, true, 10), tenant("c", 3, true, 20)];
    expect(going(4, 10, ...all)).toEqual(["b"]);
    expect(going(7, 10, ...all)).toEqual(["b", "c"]);
  });
  it("asks nobody who is in use: EAGAIN with the numbers and the names", () => {
    const error = expect.objectContaining({
      code: "EAGAIN",
      argument: "model",
      retryAfterUs: 1_000_000,
      message: expect.stringMatching(/new needs 8 MiB, 6 MiB of the memory budget of 10 MiB.*busy/),
    });
    expect(() => going(8, 10, tenant("busy", 4, false), tenant("a", 2, true))).toThrow(error);
  });
  it("of what never fits is ENOMEM with both numbers", () => {
    const error = expect.objectContaining({
      code: "ENOMEM",
      message: expect.stringMatching(/needs 1,024 MiB, the memory budget is 10 MiB/),
    });
    expect(() => going(1024, 10, tenant("a", 2, true))).toThrow(error);
  });

  it("never goes beyond the budget, never asks who is in use, asks as few as the order allows", () => {
    const tenants = fc.array(
      fc.record({ name: fc.string(), memory: fc.nat(50), idle: fc.boolean(), lastUsed: fc.nat(9) }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(tenants, fc.nat(60), fc.integer({ min: 60, max: 200 }), (all, need, budget) => {
        let gone: typeof all;
        const busy = all.filter((t) => !t.idle).reduce((sum, t) => sum + t.memory, 0);
        try {
          gone = makeRoom("new", need, budget, all);
        } catch {
          expect(busy + need).toBeGreaterThan(budget);
          return;
        }
        expect(gone.every((t) => t.idle)).toBe(true);
        const kept = all.filter((t) => !gone.includes(t));
        const used = kept.reduce((sum, t) => sum + t.memory, need);
        expect(used).toBeLessThanOrEqual(budget);
        const last = gone.at(-1);
        if (!last) return;
        expect(used + last.memory).toBeGreaterThan(budget);
        for (const t of kept) if (t.idle) expect(t.lastUsed).toBeGreaterThanOrEqual(last.lastUsed);
      }),
    );
  });
});

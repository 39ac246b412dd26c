/** What `fair` promises: equal shares, or shares by weight. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makePolicy } from "../../kernel/sched/policies.js";
import type { Policy } from "../../kernel/sched/policy.js";
import { PolicyWorld, RUNS } from "./policies.js";

const make = (quantum = 8): Policy => makePolicy("fair", { quantum });

describe("fair", () => {
  const jain = (xs: readonly number[]): number => {
    const sum = xs.reduce((a, b) => a + b, 0);
    return sum ** 2 / (xs.length * xs.reduce((a, b) => a + b * b, 0));
  };
  const servedOf = (world: PolicyWorld, principal: string): number => {
    const all = [...world.alive, ...world.finished];
    return all.reduce((sum, b) => sum + (b.spec.principal === principal ? b.attained : 0), 0);
  };

  it("serves principals alike that always have something waiting, however many calls each makes", () => {
    const world = new PolicyWorld(make(), 4);
    for (let n = 0; n < 40; n++) world.arrive({ principal: "hog", tokens: 1e6 });
    const others = ["a", "b", "c", "d", "e"];
    for (const principal of others)
      for (let n = 0; n < 2; n++) world.arrive({ principal, tokens: 1e6 });
    for (let n = 0; n < 3000; n++) world.step();
    const served = ["hog", ...others].map((principal) => servedOf(world, principal));
    expect(jain(served)).toBeGreaterThan(0.99);
  });

  it("serves by weight", () => {
    const weightOf = (principal: string): number => (principal === "a" ? 3 : 1);
    const world = new PolicyWorld(makePolicy("fair", { quantum: 8, weightOf }), 2);
    for (const principal of ["a", "a", "b", "b"]) world.arrive({ principal, tokens: 1e6 });
    for (let n = 0; n < 2000; n++) world.step();
    expect(servedOf(world, "a") / servedOf(world, "b")).toBeCloseTo(3, 0);
  });

  it("saves nothing up: who comes back after a while is served no more than the others", () => {
    const world = new PolicyWorld(make(), 1);
    world.arrive({ principal: "idle", tokens: 5 });
    world.drain();
    for (let n = 0; n < 3; n++) world.arrive({ principal: "busy", tokens: 1e6 });
    for (let n = 0; n < 1000; n++) world.step();
    const before = servedOf(world, "busy");
    for (let n = 0; n < 3; n++) world.arrive({ principal: "idle", tokens: 1e6 });
    for (let n = 0; n < 1000; n++) world.step();
    expect(Math.abs(servedOf(world, "busy") - before - 500)).toBeLessThan(30);
  });

  it("lets who asks for less than its share take a slot at once from who asks for more", () => {
    const world = new PolicyWorld(make(), 1);
    world.arrive({ principal: "modest", tokens: 1 });
    world.drain();
    for (let n = 0; n < 3; n++) world.arrive({ principal: "greedy", tokens: 1e6 });
    for (let n = 0; n < 100; n++) world.step();
    const call = world.arrive({ principal: "modest", tokens: 8 });
    expect(world.step()).toEqual([call]);
  });

  it("is never further from equal shares than the quanta that it promises, whoever comes and goes", () => {
    const quantum = 8;
    const idle = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), idle, (slots, spans) => {
        const world = new PolicyWorld(make(quantum), slots);
        for (let n = 0; n < 6; n++) world.arrive({ principal: "steady", tokens: 1e6 });
        for (const span of spans) {
          for (let n = 0; n < span; n++) world.step();
          const calls = Array.from({ length: 6 }, () =>
            world.arrive({ principal: "comes", tokens: 1e6 }),
          );
          const before = servedOf(world, "steady");
          let most = 0;
          let least = 0;
          for (let n = 0; n < 200; n++) {
            world.step();
            const mine = calls.reduce((sum, { attained }) => sum + attained, 0);
            const ahead = mine - (servedOf(world, "steady") - before);
            most = Math.max(most, ahead);
            least = Math.min(least, ahead);
          }
          // The credit and what counters may differ by, and a step of all slots.
          expect(most).toBeLessThanOrEqual(3 * quantum + 2 * slots);
          expect(-least).toBeLessThanOrEqual(3 * quantum + 2 * slots + 8);
          for (const call of calls) world.cancel(call);
        }
      }),
      RUNS,
    );
  });

  it("charges input at once, and gives back what was found", () => {
    const world = new PolicyWorld(make(1000), 2);
    const [first] = Array.from({ length: 3 }, () =>
      world.arrive({ principal: "a", given: 2000, tokens: 50 }),
    );
    const b = world.arrive({ principal: "b", given: 2000, tokens: 50 });
    // Two slots are free at once: one for each.
    expect(world.sched.step(0)).toEqual([first, b]);
  });
});

/** What `program` promises: the service of a whole agent program counts, and fades. */
import { describe, expect, it } from "vitest";
import type { Burst } from "../../kernel/sched/burst.js";
import { makePolicy } from "../../kernel/sched/policies.js";
import { WaitWatch } from "../../kernel/sched/testing/waits.js";
import { PolicyWorld } from "./policies.js";

describe("program", () => {
  const HALF_LIFE_US = 30_000_000;

  /** How long a burst waits for its first slot while young programs come without end, microseconds. */
  const waitAmongYoung = (world: PolicyWorld, waiting: Burst): number => {
    for (let n = 0; n < 20_000 && world.alive.has(waiting); n++) {
      if (world.sched.waiting < 3) world.arrive({ tokens: 20 });
      world.step();
    }
    return world.waits.find(({ burst }) => burst === waiting)?.us ?? 0;
  };

  it("serves a young program before the hundredth call of an old one, however short", () => {
    const world = new PolicyWorld(makePolicy("program", { quantum: 8 }), 1);
    for (let n = 0; n < 50; n++) {
      world.arrive({ program: 1n, tokens: 10 });
      world.drain();
    }
    const old = world.arrive({ program: 1n, tokens: 1 });
    const young = world.arrive({ program: 2n, tokens: 60 });
    world.drain();
    expect(world.finished.slice(-2)).toEqual([young, old]);
  });

  it("counts what all calls of a program were served, those at the same time too", () => {
    const world = new PolicyWorld(makePolicy("program", { quantum: 8 }), 4);
    for (let n = 0; n < 20; n++) world.arrive({ program: 1n, tokens: 100 });
    for (let n = 0; n < 60; n++) world.step();
    const young = world.arrive({ program: 2n, tokens: 20 });
    expect(world.step()).toContain(young);
  });

  it("counts the prompt, and not what was found of it", () => {
    for (const [cached, first] of [
      [0, "other"],
      [3999, "big"],
    ] as const) {
      const world = new PolicyWorld(makePolicy("program", { quantum: 8 }), 1);
      const prompt = world.arrive({ program: 1n, given: 4000, tokens: 2 });
      world.sched.step(0);
      prompt.cached = cached;
      world.drain();
      const next = {
        big: world.arrive({ program: 1n, tokens: 5 }),
        other: world.arrive({ program: 2n, tokens: 5 }),
      };
      world.drain();
      expect(world.finished[1]).toBe(next[first]);
    }
  });

  it("knows what a call has to enter: a long prompt goes behind a short one that came later", () => {
    const world = new PolicyWorld(makePolicy("program", { quantum: 8 }), 1);
    const busy = world.arrive({ tokens: 3 });
    world.step();
    const long = world.arrive({ given: 2000, tokens: 1 });
    const short = world.arrive({ given: 60, tokens: 1 });
    world.drain();
    expect(world.finished).toEqual([busy, short, long]);
  });

  it("does not hold against a call what is kept of its context", () => {
    const world = new PolicyWorld(makePolicy("program", { quantum: 8 }), 1);
    const busy = world.arrive({ tokens: 3 });
    world.step();
    const kept = world.arrive({ given: 2000, missing: 20, tokens: 1 });
    const short = world.arrive({ given: 600, tokens: 1 });
    world.drain();
    expect(world.finished).toEqual([busy, kept, short]);
  });

  it("gives back with the first token what was found after all", () => {
    const world = new PolicyWorld(makePolicy("program", { quantum: 8 }), 1);
    const found = world.arrive({ given: 4000, tokens: 30 });
    world.sched.step(0);
    found.cached = 3999;
    world.step();
    const other = world.arrive({ given: 600, tokens: 1 });
    world.drain();
    expect(world.finished).toEqual([found, other]);
  });

  it("gives back what a call would have entered that was cancelled", () => {
    const world = new PolicyWorld(makePolicy("program", { quantum: 8 }), 1);
    const busy = world.arrive({ tokens: 3 });
    world.step();
    world.cancel(world.arrive({ program: 1n, given: 4000, tokens: 1 }));
    const mine = world.arrive({ program: 1n, tokens: 1 });
    const other = world.arrive({ given: 600, tokens: 1 });
    world.drain();
    expect(world.finished).toEqual([busy, mine, other]);
  });

  it("lets who needs much be patient: a long prompt waits ten times as long as it takes", () => {
    const world = new PolicyWorld(makePolicy("program", { quantum: 8 }), 1);
    // From this it learns that a token that is given takes a 64th of a step.
    world.arrive({ given: 6400, tokens: 1 });
    world.drain();
    const long = world.arrive({ given: 64_000, tokens: 1 });
    const wait = waitAmongYoung(world, long);
    // A thousand steps of 10 ms, and no more than what one token generated costs beside them.
    expect(wait).toBeGreaterThan(95_000_000);
    expect(wait).toBeLessThan(115_000_000);
  });

  it("bounds the wait of an old program among young ones without end", () => {
    const watch = new WaitWatch(makePolicy("program", { quantum: 8 }), { slots: 1 });
    const world = new PolicyWorld(watch.policy, 1);
    world.watch = watch;
    world.arrive({ program: 1n, tokens: 500 });
    world.drain();
    const old = world.arrive({ program: 1n, tokens: 1 });
    // Ten times the five seconds that it was served, and the turns of who is due before it.
    const wait = waitAmongYoung(world, old);
    expect(wait).toBeGreaterThan(49_000_000);
    expect(wait).toBeLessThan(52_000_000);
  });

  it("gives a young program the slot of an old one when its turn is over, and not before", () => {
    const world = new PolicyWorld(makePolicy("program", { quantum: 8 }), 1);
    world.arrive({ program: 1n, tokens: 500 });
    world.drain();
    const old = world.arrive({ program: 1n, tokens: 20 });
    const ran = [...world.step()];
    const young = world.arrive({ program: 2n, tokens: 3 });
    while (world.alive.has(old)) ran.push(...world.step());
    // Each enters its prompt in a step of its own first.
    const turns = [...Array(9).fill(old), ...Array(4).fill(young), ...Array(12).fill(old)];
    expect(ran.slice(0, turns.length)).toEqual(turns);
  });

  it("forgets what a program was served while it asks for nothing", () => {
    const world = new PolicyWorld(makePolicy("program", { quantum: 8 }), 1);
    world.arrive({ program: 1n, tokens: 1000 });
    world.drain();
    world.now += 10 * HALF_LIFE_US;
    const old = world.arrive({ program: 1n, tokens: 5 });
    const young = world.arrive({ program: 2n, tokens: 5 });
    world.drain();
    expect(world.finished.slice(-2)).toEqual([old, young]);
  });

  it("remembers so many programs without a call, those of whose service most is left", () => {
    const world = new PolicyWorld(makePolicy("program", { quantum: 8 }), 1);
    const accounts = new Map<bigint, unknown>();
    const run = (program: bigint, tokens: number): void => {
      accounts.set(program, world.arrive({ program, tokens }).account);
      world.drain();
    };
    run(1n, 1000);
    for (let program = 2n; program <= 4200n; program++) run(program, 1);
    const isKnown = (program: bigint): boolean => {
      const burst = world.arrive({ program, tokens: 1 });
      world.cancel(burst);
      return burst.account === accounts.get(program);
    };
    expect([1n, 2n, 4200n].map(isKnown)).toEqual([true, false, true]);
  });

  it("knows what programs were served when turns become longer or shorter", () => {
    const world = new PolicyWorld(makePolicy("program", { quantum: 8 }), 1);
    world.arrive({ program: 1n, tokens: 500 });
    world.drain();
    world.sched.setQuantum(32);
    const old = world.arrive({ program: 1n, tokens: 1 });
    const young = world.arrive({ program: 2n, tokens: 60 });
    world.drain();
    expect(world.finished.slice(-2)).toEqual([young, old]);
  });
});

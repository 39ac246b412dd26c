import { describe, expect, it } from "vitest";
import type { Burst, BurstSpec } from "./burst.js";
import { roundRobin } from "./policies/rr.js";
import type { Policy } from "./policy.js";
import { PASSES } from "./run-queue.js";
import { Scheduler } from "./scheduler.js";
import { NOBODY, rowOf, specOf } from "./testing/bursts.js";

const QUANTUM = 4;

function enqueue(sched: Scheduler, over: Partial<BurstSpec> = {}, now = 0): Burst {
  return sched.enqueue(specOf(1n, { genStart: 0, ...over }), NOBODY, 0, now, now);
}

function rr(slots = 1, policy: Policy = roundRobin(QUANTUM), cost = 0): Scheduler {
  return new Scheduler({ policy, slots, switchCost: () => cost });
}

const serve = (sched: Scheduler, burst: Burst, tokens: number): void => {
  sched.account(burst, rowOf(1, tokens), 0);
};

describe("a quantum", () => {
  // By one token a step, and by several, which may pass its end without meeting it.
  it.each([{ steps: [1, 1, 1, 1] }, { steps: [3, 3] }, { steps: [9] }, { steps: [2, 1, 6] }])(
    "is over after the last of $steps tokens, and not before",
    ({ steps }) => {
      const sched = rr();
      const [first, second] = [enqueue(sched), enqueue(sched)];
      for (const count of steps) {
        expect(sched.step(0)).toEqual([first]);
        serve(sched, first, count);
      }
      expect(sched.step(0)).toEqual([second]);
    },
  );
});

it("takes another quantum while turns are under way", () => {
  const sched = rr();
  const [first, second] = [enqueue(sched), enqueue(sched)];
  sched.step(0);
  serve(sched, first, 2);
  sched.setQuantum(2);
  expect(sched.quantum).toBe(2);
  expect(sched.step(0)).toEqual([second]);
});

it("counts nothing of a context that is only rebuilt", () => {
  const sched = rr();
  const [first, second] = [enqueue(sched), enqueue(sched)];
  sched.step(0);
  for (let length = 1; length <= 10 * QUANTUM; length++) {
    sched.account(first, rowOf(length, 0), 0);
    expect(sched.step(0)).toEqual([first]);
  }
  serve(sched, first, QUANTUM);
  expect(sched.step(0)).toEqual([second]);
});

describe("what a switch costs", () => {
  it("has been half earned before the slot changes hands", () => {
    const sched = rr(1, roundRobin(QUANTUM), 20);
    const [first, second] = [enqueue(sched), enqueue(sched)];
    for (let served = 0; served < 10; served++) {
      expect(sched.step(0)).toEqual([first]);
      serve(sched, first, 1);
    }
    expect(sched.step(0)).toEqual([second]);
  });

  it("is not paid for a burst that is over before the switch is", () => {
    const sched = rr(1, roundRobin(QUANTUM), 8);
    const [first, second] = [enqueue(sched, { maxTokens: 14 }), enqueue(sched)];
    sched.step(0);
    serve(sched, first, 6);
    // Eight are left: just as many as the switch costs.
    expect(sched.step(0)).toEqual([first]);
    sched.remove(first, 0);
    expect(sched.step(0)).toEqual([second]);
  });

  it("counts the prompt that was entered as earned, and what was found there not", () => {
    for (const [cached, switched] of [
      [0, true],
      [96, false],
    ] as const) {
      const sched = rr(1, roundRobin(1), 16);
      const first = enqueue(sched, { genStart: 100 });
      sched.step(0);
      first.cached = cached;
      const second = enqueue(sched);
      sched.account(first, rowOf(100, 1), 0);
      expect(sched.step(0)).toEqual([switched ? second : first]);
    }
  });
});

describe("classes", () => {
  it("above take a slot at once, below never", () => {
    const sched = rr();
    const batch = enqueue(sched, { class: "batch" });
    expect(sched.step(0)).toEqual([batch]);
    const interactive = enqueue(sched);
    expect(sched.step(0)).toEqual([interactive]);
    const realtime = enqueue(sched, { class: "realtime" });
    expect(sched.step(0)).toEqual([realtime]);
    for (let turn = 0; turn < 5; turn++) {
      serve(sched, realtime, QUANTUM);
      expect(sched.step(0)).toEqual([realtime]);
    }
    sched.remove(realtime, 0);
    expect(sched.step(0)).toEqual([interactive]);
  });

  it("below have a turn of their own after so many of others, and keep it to its end", () => {
    const sched = rr();
    const upper = enqueue(sched, { class: "realtime", maxTokens: 1e6 });
    const batch = enqueue(sched, { class: "batch", maxTokens: 1e6 });
    const turns: string[] = [];
    for (let token = 0; token < 4 * (PASSES + 1) * QUANTUM; token++) {
      const [running] = sched.step(0);
      if (!running) throw new Error("nobody runs");
      if (token % QUANTUM === 0) turns.push(running === batch ? "b" : "r");
      else expect(running === batch ? "b" : "r").toBe(turns.at(-1));
      serve(sched, running, 1);
    }
    // The turn that begins as the batch burst gives way is not counted.
    const between = turns.join("").split("b").slice(0, 3);
    expect(between.map(({ length }) => length)).toEqual([PASSES, PASSES + 1, PASSES + 1]);
    expect(upper.state).toBe("running");
  });

  it("below keep a turn of their own to its end, whatever the policy thinks of them", () => {
    const sched = rr(1, { ...roundRobin(QUANTUM), yields: () => true });
    enqueue(sched, { class: "realtime", maxTokens: 1e6 });
    const batch = enqueue(sched, { class: "batch", maxTokens: 1e6 });
    let turns = "";
    for (let token = 0; token < 4 * (PASSES + 1) * QUANTUM; token++) {
      const [running] = sched.step(0);
      if (!running) throw new Error("nobody runs");
      turns += running === batch ? "b" : "r";
      serve(sched, running, 1);
    }
    const own = turns.split(/r+/).filter((turn) => turn !== "");
    expect(own.length).toBeGreaterThan(1);
    expect(new Set(own)).toEqual(new Set(["b".repeat(QUANTUM)]));
  });
});

describe("a step", () => {
  it("chooses nobody who gave way in it", () => {
    const sched = rr(2);
    const [a, b] = [enqueue(sched), enqueue(sched)];
    sched.step(0);
    for (const burst of [a, b]) serve(sched, burst, QUANTUM);
    const c = enqueue(sched);
    const running = sched.step(10);
    expect(running).toHaveLength(2);
    expect(running).toContain(c);
    expect(sched.contextSwitches).toBe(1);
  });
});

describe("books", () => {
  it("knows what a process has waited and been served, and forgets who is over", () => {
    const sched = rr();
    const [first, second] = [enqueue(sched), enqueue(sched)];
    sched.step(10);
    expect(sched.timesOf(1n, 15)).toEqual({ queuedUs: 10 + 15, servedUs: 5 });
    sched.pause(first, 20);
    expect(sched.step(20)).toEqual([second]);
    expect(sched.timesOf(1n, 30)).toEqual({ queuedUs: 10 + 20, servedUs: 10 + 10 });
    for (const burst of [first, second]) sched.remove(burst, 30);
    expect(sched.timesOf(1n, 40)).toEqual({ queuedUs: 0, servedUs: 0 });
    expect([...sched.all()]).toEqual([]);
  });

  it("lets what ran before the driver's death wait for its return, in its old order", () => {
    const sched = rr(2);
    const [a, b] = [enqueue(sched), enqueue(sched)];
    expect(sched.step(0)).toEqual([a, b]);
    sched.interrupt(5);
    expect([a.state, b.state, sched.waiting]).toEqual(["ready", "ready", 2]);
    expect(sched.step(9)).toEqual([a, b]);
    expect(a.queuedUs).toBe(4);
  });
});

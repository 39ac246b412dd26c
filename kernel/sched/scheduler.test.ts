import { describe, expect, it } from "vitest";
import type { Burst } from "./burst.js";
import { roundRobin } from "./rr.js";
import { Scheduler } from "./scheduler.js";

const QUANTUM = 4;

function enqueue(sched: Scheduler): Burst {
  const sampling = {
    temperature: 0,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    seed: 1n,
  };
  const ends = { genStart: 1, maxTokens: 100, stop: [], ignoreEos: true };
  const listener = { progress: () => {}, end: () => {} };
  return sched.enqueue({ pid: 1n, cid: 1n, sampling, ...ends }, listener, 0, 0, 0);
}

const row = (sampled: number[]) => ({
  burst: 1n,
  slot: 0,
  length: 1,
  sampled,
  text: "",
  finish: "",
  stop: "",
});

describe("a quantum", () => {
  // By one token a step, and by several, which may pass its end without meeting it.
  it.each([{ steps: [1, 1, 1, 1] }, { steps: [3, 3] }, { steps: [9] }, { steps: [2, 1, 6] }])(
    "is over after the last of $steps tokens, and not before",
    ({ steps }) => {
      const policy = roundRobin(QUANTUM);
      const sched = new Scheduler({ policy, slots: 1, quantum: QUANTUM, reviewUs: 1e9 });
      const [first, second] = [enqueue(sched), enqueue(sched)];
      for (const count of steps) {
        expect(sched.step(0)).toEqual([first]);
        sched.account(first, row(Array(count).fill(7)), 0);
      }
      expect(sched.step(0)).toEqual([second]);
    },
  );
});

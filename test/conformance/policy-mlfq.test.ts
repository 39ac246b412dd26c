/** What `mlfq` promises: who asks for little goes first. */
import { describe, expect, it } from "vitest";
import { makePolicy } from "../../kernel/sched/policies.js";
import { PolicyWorld } from "./policies.js";

describe("mlfq", () => {
  it("serves who asks for little before who has had much, in however many calls", () => {
    const world = new PolicyWorld(makePolicy("mlfq", { quantum: 8 }), 1);
    for (let n = 0; n < 10; n++) {
      world.arrive({ pid: 1n, tokens: 8 });
      world.drain();
    }
    const old = world.arrive({ pid: 1n, tokens: 8 });
    const young = world.arrive({ pid: 2n, tokens: 8 });
    world.drain();
    expect(world.finished.slice(-2)).toEqual([young, old]);
  });

  it("lets all begin anew after a while", () => {
    const world = new PolicyWorld(makePolicy("mlfq", { quantum: 8 }), 1);
    world.arrive({ pid: 1n, tokens: 200 });
    world.drain();
    world.now = 10_000_000;
    const old = world.arrive({ pid: 1n, tokens: 8 });
    const young = world.arrive({ pid: 2n, tokens: 8 });
    world.drain();
    expect(world.finished.slice(-2)).toEqual([old, young]);
  });
});

/** What `priority` promises: a bound on every wait. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Burst } from "../../kernel/sched/burst.js";
import { priority } from "../../kernel/sched/policies/priority.js";
import { WaitWatch } from "../../kernel/sched/testing/waits.js";
import { arrival, PolicyWorld, RUNS, STEP_US } from "./policies.js";

describe("priority", () => {
  it("bounds every wait by 39 spans of aging and a turn of each in the queue", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 10_000, max: 400_000 }),
        fc.array(arrival, { minLength: 30, maxLength: 80 }),
        (slots, quantum, agingUs, list) => {
          const world = new PolicyWorld(priority(quantum, agingUs), slots);
          const queue = 12;
          const todo = list.map((each) => ({ ...each, class: "interactive" as const, given: 1 }));
          while (todo.length > 0 || world.alive.size > 0) {
            while (world.sched.waiting < queue) {
              const next = todo.pop();
              if (!next) break;
              world.arrive(next);
            }
            world.step();
          }
          const turnUs = (quantum + 2) * STEP_US;
          const most = 39 * agingUs + (Math.ceil((queue + slots) / slots) + 1) * turnUs;
          for (const { us } of world.waits) expect(us).toBeLessThanOrEqual(most);
        },
      ),
      RUNS,
    );
  });

  it("bounds waits of every class in turns, whatever a switch costs", () => {
    let ripe = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 100, max: 20_000 }),
        fc.integer({ min: 0, max: 30 }),
        fc.array(arrival, { minLength: 30, maxLength: 80 }),
        (slots, quantum, agingUs, price, list) => {
          const watch = new WaitWatch(priority(quantum, agingUs), { slots, agingUs });
          const costOf = ({ spec }: Burst): number => watch.told(price * (Number(spec.pid) % 3));
          const world = new PolicyWorld(watch.policy, slots, costOf);
          world.watch = watch;
          const todo = [...list];
          while (todo.length > 0 || world.alive.size > 0) {
            while (world.sched.waiting < 12) {
              const next = todo.pop();
              if (!next) break;
              world.arrive(next);
            }
            world.step();
          }
          ripe += watch.ripe;
        },
      ),
      RUNS,
    );
    expect(ripe).toBeGreaterThan(100);
  });

  it("runs the lower nice value first, until the other has waited for the difference", () => {
    const world = new PolicyWorld(priority(8, STEP_US), 1);
    world.arrive({ tokens: 40, nice: -20 });
    const later = world.arrive({ tokens: 1, nice: 5 });
    world.step();
    const sooner = world.arrive({ tokens: 1, nice: -3 });
    world.now += 30 * STEP_US;
    const latest = world.arrive({ tokens: 1, nice: -20 });
    world.drain();
    expect(world.finished.slice(0, 3)).toEqual([sooner, later, latest]);
  });
});

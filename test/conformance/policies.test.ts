/** One suite for every scheduling policy (policies.ts). What each promises besides is in policy-*.test.ts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Burst } from "../../kernel/sched/burst.js";
import { makePolicy, POLICY_NAMES } from "../../kernel/sched/policies.js";
import type { Policy } from "../../kernel/sched/policy.js";
import { arrival, PolicyWorld, RUNS, STEP_US } from "./policies.js";

const make = (name: string, quantum = 8): Policy => makePolicy(name, { quantum });

const deed = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("arrive" as const), arrival }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("step" as const), steps: fc.nat(12) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("cancel" as const, "pause" as const, "resume" as const),
      which: fc.nat(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("nice" as const),
      pid: fc.bigInt({ min: 1n, max: 6n }),
      nice: fc.integer({ min: -20, max: 19 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("idle" as const), us: fc.nat(2e7) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("interrupt" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("policy" as const),
      to: fc.constantFrom(...POLICY_NAMES),
    }),
  },
);
type Deed = typeof deed extends fc.Arbitrary<infer D> ? D : never;

/** What happened, in words that two runs can be compared by. */
function play(name: string, slots: number, cost: number, deeds: readonly Deed[]): string[] {
  const world = new PolicyWorld(make(name), slots, () => cost);
  const { sched } = world;
  const told: string[] = [];
  const pick = (which: number): Burst | undefined => [...world.alive][which % world.alive.size];
  const step = (): void => {
    told.push(
      world
        .step()
        .map(({ id }) => id)
        .join(),
    );
  };
  for (const each of deeds) {
    if (each.kind === "arrive") world.arrive(each.arrival);
    else if (each.kind === "step") for (let n = 0; n < each.steps; n++) step();
    else if (each.kind === "idle") world.now += each.us;
    else if (each.kind === "interrupt") sched.interrupt(world.now);
    else if (each.kind === "policy") sched.setPolicy(make(each.to), world.now);
    else if (each.kind === "nice") sched.renice(each.pid, each.nice);
    else {
      const burst = pick(each.which);
      if (!burst) continue;
      if (each.kind === "cancel") world.cancel(burst);
      else if (each.kind === "pause") sched.pause(burst, world.now);
      else sched.resume(burst, world.now);
    }
  }
  const arrived = world.alive.size + world.finished.length;
  world.drain();
  expect(world.finished.length).toBe(arrived);
  told.push(world.finished.map(({ id }) => id).join());
  return told;
}

describe.each(POLICY_NAMES)("policy %s", (name) => {
  it("holds the invariants whatever happens, loses nobody, and decides the same again", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom(0, 3, 20),
        fc.array(deed, { maxLength: 60 }),
        (slots, cost, deeds) => {
          expect(play(name, slots, cost, deeds)).toEqual(play(name, slots, cost, deeds));
        },
      ),
      RUNS,
    );
  });

  it("lets each class have turns, however much those above it ask for", () => {
    const world = new PolicyWorld(make(name), 2);
    for (const rank of ["realtime", "interactive", "batch"] as const) {
      for (let n = 0; n < 6; n++) world.arrive({ class: rank, tokens: 150 });
    }
    const served = { realtime: 0, interactive: 0, batch: 0 };
    for (let n = 0; n < 700; n++) for (const { spec } of world.step()) served[spec.class]++;
    expect(served.realtime).toBeGreaterThan(served.interactive);
    expect(served.realtime).toBeGreaterThan(served.batch);
    if (name === "fifo") return;
    for (const rank of ["interactive", "batch"] as const) {
      expect(served[rank]).toBeGreaterThan(1400 / 20);
    }
  });

  it("keeps the order of those who wait: time alone changes it only for who is due", () => {
    const arrivals = fc.array(arrival, { minLength: 2, maxLength: 20 });
    fc.assert(
      fc.property(arrivals, fc.nat(1e6), (list, later) => {
        const order = (wait: number): string[] => {
          const policy = make(name);
          // No time from which one is due: aging and keys alone.
          const undue = {
            ...policy,
            place: (b: Burst, now: number) => ({ ...policy.place(b, now), dueAt: Infinity }),
          };
          const world = new PolicyWorld(undue, 1);
          for (const each of list) world.arrive({ ...each, class: "batch" });
          world.now += wait;
          const out: string[] = [];
          while (world.alive.size > 0) {
            const [first] = world.sched.step(world.now);
            if (!first) throw new Error("nobody runs");
            out.push(String(first.id));
            world.cancel(first);
          }
          return out;
        };
        expect(order(later)).toEqual(order(0));
      }),
      RUNS,
    );
  });
});

/** Whoever came first keeps being offered work of others that looks better to the policy. */
describe.each(POLICY_NAMES.filter((name) => name !== "fifo"))(
  "policy %s starves nobody",
  (name) => {
    it("not the one that it likes least, while those that it likes best never end", () => {
      const world = new PolicyWorld(make(name), 2);
      const old = world.arrive({ tokens: 1e6, nice: 19, principal: "old", program: 1n, pid: 1n });
      for (let n = 0; n < 200; n++) world.step();
      let longest = 0;
      let waited = 0;
      for (let n = 0; n < 9000; n++) {
        while (world.sched.waiting < 6) world.arrive({ tokens: 20, nice: -20 });
        waited = world.step().includes(old) ? 0 : waited + 1;
        longest = Math.max(longest, waited);
      }
      expect(longest * STEP_US).toBeLessThan(80_000_000);
    });
  },
);

describe.each(["rr", "priority", "mlfq", "fair"])("policy %s", (name) => {
  it("serves equals alike", () => {
    const world = new PolicyWorld(make(name), 3);
    const all = Array.from({ length: 7 }, () => world.arrive({ tokens: 1e6 }));
    for (let n = 0; n < 3000; n++) world.step();
    const served = all.map(({ attained }) => attained);
    // mlfq's turns are long on its lower levels.
    const turn = name === "mlfq" ? 8 * 2 ** 6 : 8;
    expect(Math.max(...served) - Math.min(...served)).toBeLessThanOrEqual(2 * turn);
  });
});

describe("an unknown policy", () => {
  it("is EINVAL, and what there is is said", () => {
    for (const name of ["", "RR", "lottery", "constructor", "__proto__"]) {
      expect(() => make(name)).toThrow(
        expect.objectContaining({ code: "EINVAL", message: expect.stringContaining("fifo, rr") }),
      );
    }
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decide,
  type Ended,
  isFailure,
  RESTART_POLICIES,
  type Restart,
  STRATEGIES,
} from "./decide.js";

const KILLED = { code: 137, cause: "signal KILL" };
const DONE = { code: 0, cause: "exit" };

function ended(more: Partial<Ended> = {}): Ended {
  return {
    ...{ pid: 1n, policy: "on-failure", strategy: "one_for_one", restarts: [], now: 1000 },
    backoff: { firstUs: 100, mostUs: 1000 },
    intensity: { max: 3, withinUs: 10_000 },
    ...KILLED,
    ...more,
  };
}

describe("the end of a supervised run", () => {
  it("is a failure unless it was asked for", () => {
    expect(isFailure(DONE)).toBe(false);
    for (const name of ["TERM", "INT", "HUP"]) {
      expect(isFailure({ code: 143, cause: `signal ${name}` }), name).toBe(false);
    }
    for (const cause of ["signal KILL", "signal SEGV", "hung: no heartbeat", "spawn failed"]) {
      expect(isFailure({ code: 137, cause }), cause).toBe(true);
    }
    expect(isFailure({ code: 1, cause: "exit" })).toBe(true);
  });

  it("counts as its policy says", () => {
    const kinds = RESTART_POLICIES.map((policy) =>
      [DONE, KILLED].map((end) => decide(ended({ policy, ...end })).kind),
    );
    expect(kinds).toEqual([
      ["over", "over"],
      ["over", "restart"],
      ["restart", "restart"],
    ]);
  });

  it("starts the one again, or all", () => {
    expect(decide(ended())).toEqual({ kind: "restart", afterUs: 100, who: "one" });
    const all = decide(ended({ strategy: "all_for_one" }));
    expect(all).toEqual({ kind: "restart", afterUs: 100, who: "all" });
  });

  it("pauses twice as long each time, up to the most", () => {
    const pauses = [0, 1, 2, 3, 4, 5].map((n) => {
      const restarts = Array.from({ length: n }, (_, i) => ({ pid: 1n, at: i }));
      const verdict = decide(ended({ restarts, intensity: { max: 9, withinUs: 10_000 } }));
      return verdict.kind === "restart" ? verdict.afterUs : -1;
    });
    expect(pauses).toEqual([100, 200, 400, 800, 1000, 1000]);
  });

  it("does not slow its neighbours, but all when all restart", () => {
    const restarts = [1, 2].map((at) => ({ pid: 2n, at }));
    expect(decide(ended({ restarts }))).toMatchObject({ afterUs: 100 });
    expect(decide(ended({ restarts, strategy: "all_for_one" }))).toMatchObject({ afterUs: 400 });
  });

  it("makes the group give up when there were too many within the period, whoever they were of", () => {
    const restarts = [900, 950, 1000].map((at, i) => ({ pid: BigInt(i), at }));
    const intensity = { max: 3, withinUs: 100 };
    expect(decide(ended({ restarts, intensity, now: 999 })).kind).toBe("gives up");
    // What is as old as the period no longer counts.
    expect(decide(ended({ restarts, intensity, now: 1000 })).kind).toBe("restart");
    expect(decide(ended({ intensity: { max: 0, withinUs: 100 } })).kind).toBe("gives up");
    expect(decide(ended({ ...DONE, intensity: { max: 0, withinUs: 100 } })).kind).toBe("over");
  });

  it("keeps the intensity, whatever the history", () => {
    const life = fc.record({
      max: fc.integer({ min: 0, max: 6 }),
      withinUs: fc.integer({ min: 1, max: 5000 }),
      firstUs: fc.integer({ min: 0, max: 500 }),
      mostUs: fc.integer({ min: 0, max: 2000 }),
      strategy: fc.constantFrom(...STRATEGIES),
      policy: fc.constantFrom(...RESTART_POLICIES),
      ends: fc.array(
        fc.record({
          after: fc.integer({ min: 0, max: 2000 }),
          pid: fc.bigInt({ min: 1n, max: 3n }),
          end: fc.constantFrom(DONE, KILLED, { code: 143, cause: "signal TERM" }),
        }),
        { maxLength: 60 },
      ),
    });
    fc.assert(
      fc.property(life, ({ max, withinUs, firstUs, mostUs, strategy, policy, ends }) => {
        const restarts: Restart[] = [];
        let now = 0;
        for (const { after, pid, end } of ends) {
          now += after;
          const backoff = { firstUs, mostUs };
          const intensity = { max, withinUs };
          const verdict = decide({
            pid,
            policy,
            strategy,
            backoff,
            intensity,
            restarts,
            now,
            ...end,
          });
          const recent = restarts.filter(({ at }) => at > now - withinUs).length;
          expect(recent).toBeLessThanOrEqual(max);
          if (policy === "never" || (policy === "on-failure" && !isFailure(end))) {
            expect(verdict.kind).toBe("over");
          } else expect(verdict.kind).toBe(recent < max ? "restart" : "gives up");
          if (verdict.kind !== "restart") continue;
          expect(verdict.afterUs).toBeLessThanOrEqual(mostUs);
          expect(verdict.afterUs).toBeGreaterThanOrEqual(Math.min(firstUs, mostUs));
          restarts.push({ pid, at: now });
        }
      }),
      { numRuns: 300, verbose: true },
    );
  });
});

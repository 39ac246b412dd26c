/**
 * The scheduler under faults, cancels and kills: random stories (sched-story.ts), every
 * invariant before every plan. CONTIX_SIM_RUNS says how many; CONTIX_SIM_SEED plays one.
 */
import { describe, expect, it } from "vitest";
import { Story } from "./sched-story.js";

const RUNS = Number(process.env.CONTIX_SIM_RUNS ?? 60);
const ONE = process.env.CONTIX_SIM_SEED;
const LIMIT_MS = 60_000 + RUNS * 1000;

async function play(seed: number): Promise<Story> {
  try {
    const story = new Story(seed);
    await story.play();
    return story;
  } catch (cause) {
    const again = `CONTIX_SIM_SEED=${seed} npx vitest run test/sim/sched.test.ts`;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`seed ${seed}: ${why}\nagain: ${again}`, { cause });
  }
}

describe("the scheduler", () => {
  const seeds = ONE === undefined ? Array.from({ length: RUNS }, (_, i) => i + 1) : [Number(ONE)];
  it(
    `keeps its word in ${seeds.length} stories of faults, cancels and kills`,
    async () => {
      const sum = { ended: 0, cancelled: 0, killed: 0, checks: 0 };
      for (const seed of seeds) {
        const { told } = await play(seed);
        sum.ended += told.ended;
        sum.cancelled += told.cancelled;
        sum.killed += told.killed;
        sum.checks += told.checks;
      }
      expect(sum.checks).toBeGreaterThan(0);
      // Stories in which nothing happens would prove nothing.
      if (seeds.length < 50) return;
      for (const count of Object.values(sum)) expect(count).toBeGreaterThan(seeds.length / 10);
    },
    LIMIT_MS,
  );
});

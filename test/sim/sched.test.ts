/**
 * The kernel under faults, cancels and kills: random stories (sched-story.ts), every
 * invariant before every plan. CONTIX_SIM_RUNS says how many; CONTIX_SIM_SEED plays one.
 */
import { describe, expect, it } from "vitest";
import { Story } from "./sched-story.js";

const RUNS = Number(process.env.CONTIX_SIM_RUNS ?? 100);
const ONE = process.env.CONTIX_SIM_SEED;
const LIMIT_MS = 60_000 + RUNS * 1000;

async function play(seed: number): Promise<Story["told"]> {
  try {
    const story = new Story(seed);
    await story.play();
    return story.told;
  } catch (cause) {
    const again = `CONTIX_SIM_SEED=${seed} npx vitest run test/sim/sched.test.ts`;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`seed ${seed}: ${why}\nagain: ${again}`, { cause });
  }
}

describe("the kernel", () => {
  const seeds = ONE === undefined ? Array.from({ length: RUNS }, (_, i) => i + 1) : [Number(ONE)];
  it(
    `keeps its word in ${seeds.length} stories of faults, cancels and kills`,
    async () => {
      const sum: Record<string, number> = {};
      for (const seed of seeds) {
        for (const [what, count] of Object.entries(await play(seed))) {
          sum[what] = (sum[what] ?? 0) + count;
        }
      }
      // A run of many is a figure: what it saw is said.
      if (RUNS > 100) process.stderr.write(`${seeds.length} stories: ${JSON.stringify(sum)}\n`);
      expect(sum.checks).toBeGreaterThan(0);
      // Stories in which nothing happens would prove nothing.
      if (seeds.length < 50) return;
      for (const [what, count] of Object.entries(sum)) {
        expect(count, what).toBeGreaterThan(seeds.length / 10);
      }
    },
    LIMIT_MS,
  );

  it("plays the same story again out of the same seed", async () => {
    const seed = seeds[0] ?? 1;
    expect(await play(seed)).toEqual(await play(seed));
  });
});

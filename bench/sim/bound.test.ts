import { expect, it } from "vitest";
import { accessString } from "./accesses.js";
import { optimalHits } from "./belady.js";
import { likelyHits } from "./bound.js";
import { replay } from "./replay.js";
import { Steps } from "./steps.js";
import { makeWorkload } from "./workloads.js";

it("lies between what a policy hits and the optimum, and is all there is when all fits", async () => {
  const steps = new Steps();
  const string = await accessString(
    makeWorkload("synthetic", { seed: 3, every: 1, agents: 2 }),
    steps,
  );
  expect(likelyHits(string, string.distinct)).toBe(string.repeats);
  expect(likelyHits(string, 0)).toBe(0);
  const frames = Math.ceil(string.peak / 4);
  const bound = likelyHits(string, frames);
  const { hits } = await replay(string, "lru", { frames, blocks: 0 }, steps);
  expect(bound).toBeGreaterThan(hits);
  expect(bound).toBeLessThan(string.repeats);
  expect(await optimalHits(string, frames, steps)).toBeLessThanOrEqual(string.repeats);
});

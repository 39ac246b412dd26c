/**
 * Random work on the real model at 1 and 2 threads, with cancels and forced collections:
 * CONTIX_SOAK_SECONDS at each (600 by default), CONTIX_SOAK_SEED for the same work again,
 * CONTIX_SOAK_MODEL for another model. `npm run bench -- soak` is the same and keeps a report.
 */
import { expect, test } from "vitest";
import { soak } from "../../bench/suites/soak.js";
import { DEFAULT_MODEL } from "../../bench/suites/suite.js";

const { CONTIX_SOAK_SECONDS, CONTIX_SOAK_SEED, CONTIX_SOAK_MODEL } = process.env;
const seconds = Number(CONTIX_SOAK_SECONDS ?? 600);
const seed = Number(CONTIX_SOAK_SEED ?? Math.floor(Math.random() * 2 ** 31));
const model = CONTIX_SOAK_MODEL ?? DEFAULT_MODEL;

/** Those that read and write the swap file, if they start late. */
const SWAP_THREADS = 3;

/** What V8 and malloc may keep in reserve; a leak of a kilobyte a call goes beyond in ten minutes. */
const RESERVE_MIB = 32;

test.for([1, 2])(`${seconds} s of random work at %i thread(s), seed ${seed}`, async (threads) => {
  const { figures } = await soak({ model, seconds, threadCounts: [threads], seed });
  const value = (name: string): number | undefined =>
    figures.find(({ id }) => id === `threads${threads}.${name}`)?.median;
  expect(value("answered"), "answered calls").toBeGreaterThan(0);
  expect(value("compared"), "compared answers").toBeGreaterThan(0);
  expect(value("crashes"), "crashes").toBe(0);
  expect(value("wrong"), "wrong answers").toBe(0);
  expect(value("growth"), "MiB more").toBeLessThan(RESERVE_MIB);
  expect(value("handles"), "descriptors more").toBe(0);
  expect(value("threadsMore"), "threads more").toBeLessThanOrEqual(SWAP_THREADS);
});

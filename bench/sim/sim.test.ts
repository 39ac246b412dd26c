import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EVICTION_NAMES } from "../../kernel/mm/eviction/policies.js";
import { random } from "../harness/random.js";
import { type AccessString, accessString } from "./accesses.js";
import { optimalHits } from "./belady.js";
import { bookkeeping, dearest } from "./bookkeeping.js";
import { compare } from "./compare.js";
import { Dice } from "./dice.js";
import { plot } from "./plot.js";
import { program } from "./program.js";
import { simFigures } from "./record.js";
import { replay } from "./replay.js";
import { comparisonTable } from "./report.js";
import { Steps } from "./steps.js";
import { synthetic } from "./synthetic.js";
import type { Workload } from "./workload.js";

const SEED = 3;
const steps = new Steps();
const small = (seed: number): Workload => synthetic(3, new Dice(random(seed)));

/** The string of accesses to paths of a tree, one path a turn. */
function stringOf(paths: readonly (readonly number[])[]): AccessString {
  const turn = { at: 0, servedUs: 0, prompt: () => [], output: () => [], wait: { kind: "x" } };
  const accesses = paths.map((pages) => ({
    happening: { kind: "starts" as const, at: 0, cid: 1n, turn },
    pages: Int32Array.from(pages),
    tokens: 0,
  }));
  return { accesses, distinct: 16, lookups: 0, repeats: 0, peak: 0, longest: 0 };
}

/** All ways to keep pages: the most hits on whole prefixes. A path is page n, with n >> 1 before it. */
function mostHits(paths: readonly (readonly number[])[], capacity: number): number {
  let states = new Map<string, number>([["", 0]]);
  for (const path of paths) {
    const after = new Map<string, number>();
    for (const [state, hits] of states) {
      const kept = new Set(state === "" ? [] : state.split(",").map(Number));
      let found = 0;
      while (found < path.length && kept.has(path[found] ?? -1)) found++;
      const all = [...new Set([...kept, ...path])];
      for (let choice = 0; choice < 1 << all.length; choice++) {
        const next = all.filter((_, i) => (choice >> i) & 1);
        if (next.length > capacity) continue;
        const key = next.sort((a, b) => a - b).join(",");
        after.set(key, Math.max(after.get(key) ?? 0, hits + found));
      }
    }
    states = after;
  }
  return Math.max(...states.values());
}

describe("the optimum", () => {
  it("is what trying all ways to keep pages gives", async () => {
    const path = fc.integer({ min: 1, max: 7 }).map((leaf) => {
      const pages: number[] = [];
      for (let page = leaf; page > 0; page >>= 1) pages.unshift(page);
      return pages;
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(path, { maxLength: 6 }),
        fc.integer({ min: 1, max: 3 }),
        async (paths, capacity) => {
          expect(await optimalHits(stringOf(paths), capacity, steps)).toBe(
            mostHits(paths, capacity),
          );
        },
      ),
      { seed: SEED, numRuns: 60 },
    );
  });

  it("is never less than what a policy hits, with or without a swap file", async () => {
    for (const seed of [1]) {
      const string = await accessString(small(seed), steps);
      for (const [frames, blocks] of [
        [5, 0],
        [40, 0],
        [20, 40],
      ] as const) {
        const best = await optimalHits(string, frames + blocks, steps);
        for (const name of EVICTION_NAMES) {
          const { hits } = await replay(string, name, { frames, blocks }, steps);
          expect(hits).toBeLessThanOrEqual(best);
        }
      }
    }
  });
});

describe("a replay", () => {
  it("hits everything that repeats when there is room for all, and rebuilds nothing", async () => {
    const string = await accessString(small(1), steps);
    expect(string.repeats).toBeGreaterThan(0);
    for (const name of EVICTION_NAMES) {
      const memory = { frames: string.distinct, blocks: 0 };
      const { hits, rebuilt, evicted } = await replay(string, name, memory, steps);
      expect([hits, rebuilt, evicted]).toEqual([string.repeats, 0, 0]);
    }
  });

  it("gives the same twice, and accounts for each page that was looked up", async () => {
    const string = await accessString(small(2), steps);
    for (const name of EVICTION_NAMES) {
      const memory = { frames: 60, blocks: 30 };
      const [one, other] = [
        await replay(string, name, memory, steps),
        await replay(string, name, memory, steps),
      ];
      expect(one).toEqual(other);
      expect(one.hits + one.rebuilt / 16).toBe(string.repeats);
    }
  });

  it("ends when it is told to", async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(accessString(small(1), new Steps(controller.signal))).rejects.toThrow(/abort/i);
  });
});

describe("a comparison", () => {
  it("is a table and a picture with axes, units and a legend", async () => {
    const parts: string[] = [];
    const options = { policies: EVICTION_NAMES, frames: [30, 90], blocks: 0 };
    const result = await compare(small(1), options, steps, (what) => parts.push(what));
    expect(parts).toContain("synthetic: agent, 90 frames");
    const table = comparisonTable(result);
    for (const name of ["optimum", ...EVICTION_NAMES]) expect(table).toContain(`| ${name}`);
    const picture = plot([result, { ...result, workload: "a < b & c" }]);
    for (const text of ["memory for pages (GB)", "pages hit (%)", "agent", "a &lt; b &amp; c"]) {
      expect(picture).toContain(text);
    }
    expect(picture).not.toMatch(/NaN|undefined|Infinity/);
  });
});

it("times every policy's page operations", () => {
  for (const name of EVICTION_NAMES) {
    const costs = bookkeeping(name, 1000, 1);
    expect(Math.max(...Object.values(costs).map(({ median }) => median))).toBe(
      dearest(costs).median,
    );
  }
});

it("holds the least row against the goals, and each agent trace over all its sizes", () => {
  const size = (agent: number, lru: number) => ({
    frames: 1,
    rows: [
      { policy: "agent", hits: agent, ofOptimum: agent / 100 },
      { policy: "lru", hits: lru, ofOptimum: lru / 100 },
    ],
  });
  const figures = simFigures([
    { workload: "claude_code_sessions", sizes: [size(90, 80), size(100, 100)] },
    { workload: "mooncake_conversation_2000", sizes: [size(20, 10), size(40, 50)] },
  ]);
  expect(Object.fromEntries(figures.map(({ id, median }) => [id, median]))).toEqual({
    "agents.ofOptimum": 0.9,
    "all.ofOptimum": 0.2,
    "agents.overLru": 190 / 180,
    "all.overLru": 0.8,
  });
});

describe("the command line", () => {
  const parse = (...args: string[]) => {
    const command = program().configureOutput({ writeErr: () => {}, writeOut: () => {} });
    return command.parseAsync(args, { from: "user" });
  };
  it("says what is wrong with arguments", async () => {
    await expect(parse("--policy", "fifo")).rejects.toThrow(/some of lru, cost, agent/);
    await expect(parse("--frames", "0")).rejects.toThrow(/at least 1/);
    await expect(parse("--memory", "12 apples")).rejects.toThrow(/512MiB/);
    await expect(parse("--trace", "mine")).rejects.toThrow(/some of claude/);
    await expect(parse("--help")).rejects.toMatchObject({ exitCode: 0 });
  });
  it("says which trace is not there", async () => {
    await expect(parse("--traces", "/nowhere", "--trace", "tau")).rejects.toThrow(/no such file/);
  });
});

/**
 * The goals, in one place. `bench check` reads the newest kept report of each suite and
 * holds its figures against these rows.
 */
import type { SuiteName } from "./harness/report.js";

export interface Goal {
  readonly suite: SuiteName;
  /** The id of a figure in that suite's report. */
  readonly figure: string;
  readonly comparison: "at least" | "at most" | "below";
  readonly goal: number;
  readonly unit: string;
  /** What it means, in words. */
  readonly means: string;
}

export const GOALS: readonly Goal[] = [
  {
    suite: "kernel",
    figure: "agents.share",
    comparison: "at least",
    goal: 0.8,
    unit: "of the bare driver's tokens/s",
    means: "16 agents in 16 processes through the kernel, streaming",
  },
  {
    suite: "engine",
    figure: "rows8.ctx64.ratio",
    comparison: "at least",
    goal: 2.5,
    unit: "× node-llama-cpp",
    means: "decode at 8 rows, context 64, against sequence.evaluate pulled in its faster way",
  },
  {
    suite: "quality",
    figure: "nll.q8.difference",
    comparison: "at most",
    goal: 0.01,
    unit: "nats/token",
    means: "mean negative log-likelihood of recipe q8 over the fp32 graph",
  },
  {
    suite: "startup",
    figure: "ready",
    comparison: "below",
    goal: 2,
    unit: "s",
    means: "daemon start to SERVING, model compiled and in the page cache",
  },
];

/**
 * A kept report of the simulator: what `bench check` reads. Its figures are made of
 * comparisons that `--json` kept, so that a long run may be done in parts, and of the
 * bookkeeping, which is measured now.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { machine, watchLoad } from "../harness/machine.js";
import { type Figure, figure, type Report, resultsFolder, writeReport } from "../harness/report.js";
import { reportTable } from "../harness/table.js";
import { bookkeeping, dearest, SIZES } from "./bookkeeping.js";
import type { Comparison } from "./compare.js";
import { comparisonTable } from "./report.js";

/** What is read of a comparison; the rest is for people. */
const Row = z.looseObject({ policy: z.string(), hits: z.number(), ofOptimum: z.number() });
const Kept = z.looseObject({
  seed: z.number(),
  comparisons: z.array(
    z.looseObject({
      workload: z.string(),
      sizes: z.array(z.looseObject({ frames: z.number(), rows: z.array(Row) })),
    }),
  ),
});
type KeptComparison = z.infer<typeof Kept>["comparisons"][number];

/** Traces of agents; the others are of people who chat. */
const AGENTS = ["claude_code_sessions", "tau_bench_gpt4o_airline_40"];

/** What the goals are about: policy `agent` beside the optimum and beside `lru`, over all sizes of memory. */
export function simFigures(comparisons: readonly KeptComparison[]): Figure[] {
  const agents = comparisons.filter(({ workload }) => AGENTS.includes(workload));
  return [
    ...of("agents.ofOptimum", "of the optimum's hits", agents.flatMap(shares)),
    ...of("all.ofOptimum", "of the optimum's hits", comparisons.flatMap(shares)),
    ...of("agents.overLru", "× lru's hits", agents.map(overLru)),
    ...of("all.overLru", "× lru's hits", comparisons.flatMap(eachOverLru)),
  ].map((made) => ({ ...made, median: made.min }));
}

/** Reads what `--json` kept, times the bookkeeping and keeps a report. @returns its path */
export async function record(files: readonly string[]): Promise<string> {
  const startedAt = new Date().toISOString();
  const load = watchLoad();
  const kept = files.map((file) => Kept.parse(JSON.parse(readFileSync(file, "utf8"))));
  const comparisons = kept.flatMap(({ comparisons }) => comparisons);
  const [few, many] = SIZES.map((pages) => dearest(bookkeeping("agent", pages)));
  if (!few || !many) throw new Error("no sizes");
  const report: Report = {
    format: 1,
    suite: "sim",
    startedAt,
    quick: false,
    parameters: { seed: kept[0]?.seed ?? 0, traces: comparisons.map((c) => c.workload).join(" ") },
    machine: machine(),
    load: load(),
    figures: [
      ...simFigures(comparisons),
      figure("bookkeeping.1000", "µs of CPU a page", few),
      figure("bookkeeping.100000", "µs of CPU a page", many),
      figure("bookkeeping.growth", "×", [many.median / few.median]),
    ],
    notes: [
      "Of figures about hits the least row counts, not the median: sizes of memory and traces are no samples of one thing.",
      ...comparisons.map((each) => comparisonTable(each as unknown as Comparison)),
    ],
  };
  const path = await writeReport(report, resultsFolder());
  writeFileSync(path.replace(/json$/, "md"), `${reportTable(report)}\n`);
  return path;
}

function of(id: string, unit: string, samples: readonly number[]): Figure[] {
  return samples.length === 0 ? [] : [figure(id, unit, samples)];
}

function shares({ sizes }: KeptComparison): number[] {
  return sizes.map(({ rows }) => rowOf(rows, "agent").ofOptimum);
}

/** Over all sizes together: where there is room for everything nobody is better. */
function overLru({ sizes }: KeptComparison): number {
  const hits = (policy: string): number =>
    sizes.reduce((sum, { rows }) => sum + rowOf(rows, policy).hits, 0);
  return hits("agent") / Math.max(1, hits("lru"));
}

function eachOverLru({ sizes }: KeptComparison): number[] {
  return sizes.map(({ rows }) => rowOf(rows, "agent").hits / Math.max(1, rowOf(rows, "lru").hits));
}

function rowOf(rows: readonly z.infer<typeof Row>[], policy: string): z.infer<typeof Row> {
  const row = rows.find((row) => row.policy === policy);
  if (!row) throw new Error(`a comparison without ${policy}: run it with --policy lru,agent`);
  return row;
}

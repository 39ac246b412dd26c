/**
 * What a suite leaves behind: figures, what they were measured on and with, as JSON to compare
 * and as a table to read.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Load, Machine } from "./machine.js";
import { inCheckout } from "./root.js";
import { type Summary, summarize } from "./stats.js";

export const SUITES = [
  "engine",
  "step",
  "quality",
  "kernel",
  "startup",
  "soak",
  "pages",
  "gateway",
  "syscalls",
  "messages",
  "malformed",
  "sim",
  "sched-decisions",
  "sched-sim",
  "sched-latency",
  "sched-fair",
  "sched-real",
  "sched-crowd",
] as const;
export type SuiteName = (typeof SUITES)[number];

/** One number with its range. `id` is what goals and later reports know it by. */
export const Figure = z.object({
  id: z.string(),
  unit: z.string(),
  median: z.number(),
  min: z.number(),
  max: z.number(),
  samples: z.array(z.number()),
});
export type Figure = z.infer<typeof Figure>;

export const Report = z.object({
  format: z.literal(1),
  suite: z.enum(SUITES),
  startedAt: z.string(),
  /** A quick run shows that the command works; its numbers are not for the record. */
  quick: z.boolean(),
  /** Everything that was chosen: model, rows, rounds, seeds. */
  parameters: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  machine: Machine,
  load: Load,
  figures: z.array(Figure),
  /** What a reader must know to read the figures right. */
  notes: z.array(z.string()),
});
export type Report = z.infer<typeof Report>;

/** A figure from its samples. @throws RangeError, naming the figure, when they are no numbers. */
export function figure(id: string, unit: string, of: Summary | readonly number[]): Figure {
  try {
    const summary = "median" in of ? of : summarize(of);
    return { id, unit, ...summary, samples: [...summary.samples] };
  } catch (cause) {
    throw new RangeError(`${id}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

/** The folder of the reports that are kept. */
export function resultsFolder(): string {
  return inCheckout("bench", "results");
}

/** Writes `<suite>-<time>.json` into `folder`. @returns its path */
export async function writeReport(report: Report, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const time = report.startedAt.replace(/\.\d+Z$/, "Z").replaceAll(":", "-");
  const path = join(folder, `${report.suite}-${time}.json`);
  await writeFile(path, `${JSON.stringify(report, null, 2)}\n`);
  return path;
}

/**
 * The newest report of each suite in `folder`; quick ones do not count.
 * @throws Error that names a report that can not be read: it must not pass for none
 */
export async function newestReports(folder: string): Promise<Map<SuiteName, Report>> {
  const newest = new Map<SuiteName, Report>();
  for (const report of await readReports(folder)) {
    const known = newest.get(report.suite);
    if (report.quick || (known && known.startedAt >= report.startedAt)) continue;
    newest.set(report.suite, report);
  }
  return newest;
}

async function readReports(folder: string): Promise<Report[]> {
  const files = await readdir(folder).catch(() => []);
  const named = files.filter((file) => SUITES.some((suite) => file.startsWith(`${suite}-`)));
  return Promise.all(named.filter((file) => file.endsWith(".json")).map((f) => read(folder, f)));
}

async function read(folder: string, file: string): Promise<Report> {
  try {
    return Report.parse(JSON.parse(await readFile(join(folder, file), "utf8")));
  } catch (cause) {
    throw new Error(`${join(folder, file)} is no report of the benchmark`, { cause });
  }
}

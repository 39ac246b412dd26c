/** A kept report of sweeps: what `bench check` reads, out of what `--json` kept. */
import { readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { machine, watchLoad } from "../../harness/machine.js";
import {
  type Figure,
  figure,
  type Report,
  resultsFolder,
  writeReport,
} from "../../harness/report.js";
import { reportTable } from "../../harness/table.js";
import { sweepTable } from "./report.js";
import { scale } from "./scale.js";
import { type LoadRows, type PolicyRow, rowsOf, summary } from "./summary.js";
import type { Run, Sweep } from "./sweep.js";

const Kept = z.looseObject({
  workload: z.string(),
  capacity: z.number(),
  options: z.looseObject({ seeds: z.array(z.number()), loads: z.array(z.number()) }),
  runs: z.array(
    z.looseObject({
      ...{ policy: z.string(), load: z.number(), seed: z.number(), meanResponse: z.number() },
      responses: z.array(z.number()),
    }),
  ),
});

const AGENTS = 10_000;
const DECISIONS = 1_000_000;

/** What the goals are about, over all loads together and of each. */
export function schedFigures(runs: readonly Run[]): Figure[] {
  const all = rowsOf(runs);
  const loads = summary({ runs });
  return [
    figure("program.gain", "of srpt's gain over fifo", [gainOf(all)]),
    figure(
      "program.gain.leastLoad",
      "of srpt's gain over fifo",
      loads.map(({ rows }) => gainOf(rows)),
    ),
    figure(
      "program.ofFifo",
      "× fifo's mean response",
      loads.map((each) => rowOf(each.rows, "program").ofFifo ?? Number.NaN),
    ),
    figure(
      "program.activeOfFifo",
      "× fifo's mean response without pauses",
      loads.map(({ rows }) => rowOf(rows, "program").meanActive / rowOf(rows, "fifo").meanActive),
    ),
    figure("program.p99OverRr", "× rr's p99", loads.map(p99OverRr)),
    figure("program.p99OverRr.all", "× rr's p99", [p99OverRr({ load: 0, rows: all })]),
  ];
}

/** Reads sweeps of one workload, times the crowd and keeps a report. @returns its path */
export async function recordSched(files: readonly string[]): Promise<string> {
  const startedAt = new Date().toISOString();
  const load = watchLoad();
  const kept = files.map((file) => Kept.parse(JSON.parse(readFileSync(file, "utf8"))));
  const sweeps = kept as unknown as Sweep[];
  const [first] = sweeps;
  if (!first || sweeps.some((sweep) => workloadOf(sweep) !== workloadOf(first))) {
    throw new Error("files of one workload are put together, and these are of several");
  }
  const runs = sweeps.flatMap(({ runs }) => runs);
  // What is missing in them is said before the crowd takes its minute.
  const figures = schedFigures(runs);
  const crowd = await scale("program", AGENTS, DECISIONS);
  const report: Report = {
    ...{ format: 1, suite: "sched-sim", startedAt, quick: false },
    parameters: parametersOf(first, runs),
    machine: machine(),
    load: load(),
    figures: [
      ...figures,
      figure("crowd.seconds", "s", [crowd.seconds]),
      figure("crowd.decisions", "decisions", [crowd.decisions]),
    ],
    notes: [
      "program.*: programs of the trace in virtual time, over all loads, or load by load; gain: of what a clairvoyant " +
        "shortest-remaining-program policy gains over fifo in mean response. crowd.*: 10,000 agents, and what so many " +
        "decisions took, all in.",
      sweepTable({ ...first, runs }),
    ],
  };
  const path = await writeReport(report, resultsFolder());
  writeFileSync(path.replace(/json$/, "md"), `${reportTable(report)}\n`);
  return path;
}

function workloadOf({ workload, options: { arrivals = "poisson" } }: Sweep): string {
  return `${workload}, ${arrivals}`;
}

function parametersOf({ workload, capacity, options }: Sweep, runs: readonly Run[]) {
  const seeds = [...new Set(runs.map(({ seed }) => seed))].sort((a, b) => a - b);
  const loads = [...new Set(runs.map(({ load }) => load))].sort((a, b) => a - b);
  const { programs, warmUp, slots, quantum, frames, blocks, arrivals = "poisson" } = options;
  const chosen = { programs, warmUp, slots, quantum, frames, blocks, capacity };
  return { workload, arrivals, seeds: seeds.join(" "), loads: loads.join(" "), ...chosen };
}

function p99OverRr({ rows }: LoadRows): number {
  return rowOf(rows, "program").p99 / rowOf(rows, "rr").p99;
}

function gainOf(rows: readonly PolicyRow[]): number {
  const { gain } = rowOf(rows, "program");
  if (gain === undefined) throw new Error("a sweep in which srpt gains nothing over fifo");
  return gain;
}

function rowOf(rows: readonly PolicyRow[], policy: string): PolicyRow {
  const row = rows.find((row) => row.policy === policy);
  if (!row) throw new Error(`a sweep without ${policy}: run it with fifo, rr, program and srpt`);
  return row;
}

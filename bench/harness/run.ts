/** Runs one suite under watch and leaves its report. */
import { writeFile } from "node:fs/promises";
import type { SuiteResult } from "../suites/suite.js";
import { machine, watchLoad } from "./machine.js";
import { type Report, type SuiteName, writeReport } from "./report.js";
import { reportTable } from "./table.js";

export interface RunOptions {
  readonly quick: boolean;
  readonly json: boolean;
  /** Where the report is kept; undefined: nowhere. */
  readonly folder: string | undefined;
}

/** Prints the report, as JSON or as Markdown, and keeps it. */
export async function runSuite(
  suite: SuiteName,
  run: () => Promise<SuiteResult>,
  { quick, json, folder }: RunOptions,
): Promise<void> {
  const startedAt = new Date().toISOString();
  const facts = machine();
  const load = watchLoad();
  const { parameters, figures, notes } = await run();
  const report: Report = {
    format: 1,
    suite,
    startedAt,
    quick,
    parameters,
    machine: facts,
    load: load(),
    figures: [...figures],
    notes: [...notes],
  };
  process.stdout.write(`${json ? JSON.stringify(report, null, 2) : reportTable(report)}\n`);
  if (folder !== undefined) {
    const path = await writeReport(report, folder);
    await writeFile(path.replace(/json$/, "md"), `${reportTable(report)}\n`);
    process.stderr.write(`kept as ${path}, and as Markdown\n`);
  }
}

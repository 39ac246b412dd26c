/** What the commands of all suites have in common: options, and where a report goes. */
import { Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { resultsFolder, type SuiteName } from "../harness/report.js";
import { runSuite } from "../harness/run.js";
import { DEFAULT_MODEL, type SuiteResult } from "../suites/suite.js";

/** What every suite takes. */
export const Common = z.object({
  model: z.string(),
  rounds: z.number().optional(),
  threads: z.number(),
  seed: z.number(),
  quick: z.boolean().default(false),
  json: z.boolean().default(false),
  save: z.boolean(),
  out: z.string(),
});

/** Parses a whole number of at least `min`. */
export function atLeast(min: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && Number.isSafeInteger(value)) return value;
    throw new InvalidArgumentError(`Expected a whole number of at least ${min}.`);
  };
}

export function list(text: string): number[] {
  return text.split(",").map(atLeast(1));
}

export function suiteCommand(name: SuiteName, description: string): Command {
  return new Command(name)
    .description(description)
    .option("--model <name>", "a model of the library, or tiny", DEFAULT_MODEL)
    .option(
      "--rounds <n>",
      "rounds, each side once a round (default: 5, with --quick 1)",
      atLeast(1),
    )
    .addOption(
      new Option("--threads <n>", "threads of the engine; 0: all cores")
        .default(0)
        .argParser(atLeast(0)),
    )
    .addOption(new Option("--seed <n>", "chooses the prompts").default(1).argParser(atLeast(0)))
    .option("--quick", "little work, to see that it works; the report is not kept")
    .option("--json", "print the report as JSON, not as a table")
    .option("--no-save", "keep no report")
    .option("--out <dir>", "where reports are kept", resultsFolder());
}

export const rounds = ({ rounds, quick }: z.infer<typeof Common>): number =>
  rounds ?? (quick ? 1 : 5);

/** Runs a suite and leaves its report: on standard output, and, unless quick, in a file. */
export async function report(
  suite: SuiteName,
  { quick, json, save, out }: z.infer<typeof Common>,
  run: () => Promise<SuiteResult>,
): Promise<void> {
  await runSuite(suite, run, { quick, json, folder: save && !quick ? out : undefined });
}

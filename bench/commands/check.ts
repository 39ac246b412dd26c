/** `bench check`: the newest reports against the goals. */
import { Command, InvalidArgumentError } from "commander";
import { z } from "zod";
import { GOALS } from "../goals.js";
import { check, limited, verdictTable } from "../harness/check.js";
import { newestReports, resultsFolder, SUITES } from "../harness/report.js";

const Check = z.object({ json: z.boolean().default(false), from: z.string() });

function suiteNames(name: string, before: string[] = []): string[] {
  if (SUITES.some((suite) => suite === name)) return [...before, name];
  throw new InvalidArgumentError(`Expected one of ${SUITES.join(", ")}.`);
}

export function checkCommand(): Command {
  return new Command("check")
    .description("hold the newest kept reports against the goals; exit 1 on a miss")
    .argument("[suites...]", `only the goals of these: ${SUITES.join(", ")}`, suiteNames)
    .option("--json", "print the verdicts as JSON")
    .option("--from <dir>", "where the reports are", resultsFolder())
    .action(async (suites: string[], raw) => {
      const { json, from } = Check.parse(raw);
      const verdicts = check(limited(GOALS, suites), await newestReports(from));
      process.stdout.write(
        `${json ? JSON.stringify(verdicts, null, 2) : verdictTable(verdicts)}\n`,
      );
      if (verdicts.some(({ met }) => !met)) process.exitCode = 1;
    });
}

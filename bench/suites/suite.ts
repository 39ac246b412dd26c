/** What the suites have in common. */
import type { Figure, Report } from "../harness/report.js";

/** The default model of every suite. */
export const DEFAULT_MODEL = "smollm2-135m-instruct";

export interface SuiteResult {
  readonly parameters: Report["parameters"];
  readonly figures: readonly Figure[];
  readonly notes: readonly string[];
}

/** Says what is going on, on standard error: standard output is the report's. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Holds reports against goals. */
import type { Goal } from "../goals.js";
import type { Report, SuiteName } from "./report.js";
import { markdownTable, number } from "./table.js";

export interface Verdict {
  readonly goal: Goal;
  /** The figure's median; undefined when no kept report has it. */
  readonly value: number | undefined;
  readonly met: boolean;
  /** Commit and load it was measured under, or why there is no value. */
  readonly remark: string;
}

/** The goals of these suites; of all when none is named. */
export function limited(goals: readonly Goal[], suites: readonly string[]): readonly Goal[] {
  return suites.length === 0 ? goals : goals.filter(({ suite }) => suites.includes(suite));
}

/** One verdict a goal. A goal without a figure is missed, never passed over. */
export function check(
  goals: readonly Goal[],
  reports: ReadonlyMap<SuiteName, Report>,
): readonly Verdict[] {
  return goals.map((goal) => {
    const report = reports.get(goal.suite);
    if (report === undefined) {
      return missing(goal, `no report: npm run bench -- ${goal.suite}`);
    }
    const figure = report.figures.find(({ id }) => id === goal.figure);
    if (figure === undefined) {
      return missing(goal, `the report of ${report.startedAt} has no such figure`);
    }
    return { goal, value: figure.median, met: meets(goal, figure.median), remark: remark(report) };
  });
}

function missing(goal: Goal, why: string): Verdict {
  return { goal, value: undefined, met: false, remark: why };
}

function meets({ comparison, goal }: Goal, value: number): boolean {
  if (comparison === "at least") return value >= goal;
  return comparison === "at most" ? value <= goal : value < goal;
}

function remark({ machine, load, startedAt }: Report): string {
  const commit = machine.commit.slice(0, 12) + (machine.dirty ? "+" : "");
  return `${startedAt.slice(0, 10)}, ${commit}, others used ${load.foreignCores} cores`;
}

/** The verdicts as a Markdown table. */
export function verdictTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ goal, value, met, remark }) => [
    `${goal.suite} ${goal.figure}`,
    goal.means,
    `${goal.comparison} ${goal.goal} ${goal.unit}`,
    value === undefined ? "not measured" : number(value),
    met ? "yes" : "NO",
    remark,
  ]);
  return markdownTable(["figure", "what", "goal", "value", "met", "measured"], rows);
}

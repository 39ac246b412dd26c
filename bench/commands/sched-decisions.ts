/** The command of the suite sched-decisions: its table, and its picture beside the report. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { Common, report, rounds, suiteCommand } from "./common.js";

const DECISIONS = 2000;
const QUICK = 100;

export function schedDecisionsCommand(): Command {
  return suiteCommand(
    "sched-decisions",
    "the time of a scheduling decision with 10 to 100,000 bursts, each policy",
  ).action(async (raw) => {
    const options = Common.parse(raw);
    const { quick, save, out } = options;
    const { schedDecisions, SIZES } = await import("../suites/sched-decisions.js");
    const { decisionsPlot } = await import("../suites/sched-decisions-plot.js");
    await report("sched-decisions", options, async () => {
      const sizes = quick ? SIZES.slice(0, 4) : SIZES;
      const decisions = quick ? QUICK : DECISIONS;
      const result = schedDecisions({ rounds: rounds(options), decisions, sizes });
      if (save && !quick) {
        await mkdir(out, { recursive: true });
        await writeFile(join(out, "sched-decisions.svg"), decisionsPlot(result.figures));
      }
      return result;
    });
  });
}

/** `sim sched`: scheduling policies on programs, in virtual time. */
import { writeFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { interruptible } from "../../../cli/terminal.js";
import { POLICY_NAMES } from "../../../kernel/sched/policies.js";
import { atLeast, some } from "../arguments.js";
import { progress } from "../progress.js";
import { Steps } from "../steps.js";
import { makeWorkload, SCALES, TRACE_NAMES } from "../workloads.js";
import { DEFAULT_COST, readCost } from "./cost.js";
import { plot } from "./plot.js";
import { ARRIVALS, callsOf } from "./programs.js";
import { recordSched } from "./record.js";
import { sweepTable } from "./report.js";
import { scaleTable } from "./scale.js";
import { summary } from "./summary.js";
import { CLAIRVOYANT, type Sweep, sweep } from "./sweep.js";

const POLICIES = [...POLICY_NAMES, CLAIRVOYANT];
const DEFAULT_POLICIES = ["fifo", "rr", "program", CLAIRVOYANT];

const EXAMPLES = `
Examples:
  npm run sim -- sched                            synthetic agents, 4 policies, loads 0.7 to 0.95, one seed
  npm run sim -- sched --traces DIR --trace claude --seeds 1-20 --json sched.json --plot sched.svg
  npm run sim -- sched --policy fifo,program,srpt --loads 0.9 --programs 100 --slots 4
  npm run sim -- sched --arrivals bursty          programs that come eight at a time, as often on average
  npm run sim -- sched --engine cost.json         another engine: what \`bench sched-real --calibration\` wrote
  npm run sim -- sched --agents 10000             how fast the scheduler decides: a million decisions
  npm run sim -- sched --record a.json b.json     a report in bench/results, for \`bench check\`

The process table, admission, the scheduler, the placer, the page pool and the loop are the kernel's own; only the
engine and the clock are virtual. ${CLAIRVOYANT} knows what programs have before them: it is there to be compared with. The same seed gives the
same run. Exit codes: 0 fine, 1 failed, 2 wrong arguments, 130 interrupted.`;

const Options = z.object({
  traces: z.string().optional(),
  trace: z.enum(TRACE_NAMES as [string, ...string[]]),
  policy: z.array(z.string()),
  loads: z.array(z.number()),
  seeds: z.array(z.number()),
  programs: z.number(),
  warmUp: z.number(),
  principals: z.number(),
  arrivals: z.enum(ARRIVALS),
  slots: z.number(),
  quantum: z.number(),
  frames: z.number(),
  blocks: z.number(),
  scale: z.number().optional(),
  every: z.number(),
  engine: z.string().optional(),
  agents: z.number().optional(),
  json: z.string().optional(),
  plot: z.string().optional(),
  record: z.array(z.string()).optional(),
});
type Options = z.infer<typeof Options>;

export function schedCommand(): Command {
  const whole = (flags: string, what: string, value: number, min = 1): Option =>
    new Option(flags, what).default(value).argParser(atLeast(min));
  return new Command("sched")
    .description("scheduling policies on agent programs in virtual time, beside a clairvoyant")
    .option("--traces <dir>", "where the public traces lie (default: synthetic programs)")
    .addOption(new Option("--trace <name>", "which").default("claude").choices(TRACE_NAMES))
    .addOption(
      new Option("--policy <list>", "which").default(DEFAULT_POLICIES).argParser(some(POLICIES)),
    )
    .addOption(
      new Option("--loads <list>", "offered, of the capacity")
        .default([0.7, 0.8, 0.9, 0.95])
        .argParser(shares),
    )
    .addOption(new Option("--seeds <range>", "as 1-20 or 3,5").default([1]).argParser(seeds))
    .addOption(whole("--programs <n>", "in a run", 200))
    .addOption(whole("--warm-up <n>", "programs that come first and do not count", 40, 0))
    .addOption(whole("--principals <n>", "for whom they are", 10))
    .addOption(
      new Option("--arrivals <kind>", "how they come: each by itself, or in bursts")
        .default("poisson")
        .choices(ARRIVALS),
    )
    .addOption(whole("--slots <n>", "of the engine", 4))
    .addOption(whole("--quantum <n>", "tokens", 64))
    .addOption(whole("--frames <n>", "pages of RAM", 6000, 0))
    .addOption(whole("--blocks <n>", "pages of swap", 24_000, 0))
    .option("--scale <n>", "tokens of a trace for one token here", atLeast(1))
    .addOption(whole("--every <n>", "only each n-th session of the trace", 1))
    .option("--engine <file>", "what its steps cost, as JSON (default: SmolLM2-135M on two cores)")
    .option("--agents <n>", "time a million decisions among so many agents instead", atLeast(1))
    .option("--json <file>", "keep the figures as JSON")
    .option("--plot <file>", "keep a picture of them as SVG")
    .option("--record <files...>", "make a report for `bench check` of what --json kept, instead")
    .addHelpText("after", EXAMPLES)
    .action(async (raw) => {
      const options = Options.parse(raw);
      if (options.record) process.stdout.write(`${await recordSched(options.record)}\n`);
      else if (options.agents) process.stdout.write(`${await scaleTable(options.agents)}\n`);
      else await interruptible((signal) => simulate(options, signal));
    });
}

async function simulate(options: Options, signal: AbortSignal): Promise<void> {
  const { traces, trace, engine, policy, json, plot: picture } = options;
  const cost = engine === undefined ? DEFAULT_COST : readCost(engine);
  const name = traces === undefined ? "synthetic" : trace;
  const scale = name === "synthetic" ? 1 : (options.scale ?? SCALES[name] ?? 1);
  const workload = makeWorkload(name, { ...options, scale, agents: SYNTHETIC_AGENTS, seed: 1 });
  const bar = progress();
  const steps = new Steps(signal, (done) => bar?.update(done));
  let result: Sweep;
  try {
    const settings = { ...options, policies: policy, cost };
    result = await sweep(workload, callsOf(workload, scale), settings, steps, (what) =>
      bar?.update(0, { what }),
    );
  } finally {
    bar?.stop();
  }
  process.stdout.write(`${sweepTable(result)}\n`);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(result)}\n`);
  if (picture !== undefined) writePlot(picture, result);
}

/** Sessions of which the programs of a synthetic run are drawn. */
const SYNTHETIC_AGENTS = 150;

function writePlot(file: string, result: Sweep): void {
  const picture = plot(result.workload, summary(result));
  if (picture === undefined) process.stderr.write("sim: no picture of one load\n");
  else writeFileSync(file, picture);
}

function shares(text: string): number[] {
  return text.split(",").map((part) => {
    const value = /^\d+(\.\d+)?$/.test(part) ? Number(part) : Number.NaN;
    if (value > 0 && value <= 2) return value;
    throw new InvalidArgumentError("Expected shares of the capacity such as 0.7,0.9, at most 2.");
  });
}

function seeds(text: string): number[] {
  return text.split(",").flatMap((part) => {
    const range = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part);
    const from = Number(range?.[1] ?? Number.NaN);
    const to = Number(range?.[2] ?? from);
    if (range && to >= from && to - from < 10_000) {
      return Array.from({ length: to - from + 1 }, (_, i) => from + i);
    }
    throw new InvalidArgumentError("Expected seeds such as 1-20 or 3,5.");
  });
}

/** The command line of the simulator. */
import { writeFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { interruptible } from "../../cli/terminal.js";
import { EVICTION_NAMES } from "../../kernel/mm/eviction/policies.js";
import { MEMORY, memoryBytes } from "../../kernel/units.js";
import { atLeast, some } from "./arguments.js";
import { bookkeepingTable } from "./bookkeeping.js";
import { type Comparison, compare } from "./compare.js";
import { plot } from "./plot.js";
import { progress } from "./progress.js";
import { record } from "./record.js";
import { PAGE_BYTES } from "./replay.js";
import { comparisonTable } from "./report.js";
import { schedCommand } from "./sched/command.js";
import { Steps } from "./steps.js";
import { makeWorkload, TRACE_NAMES } from "./workloads.js";

const EXAMPLES = `
Examples:
  npm run sim                                    a synthetic workload, all policies, four sizes of memory
  npm run sim -- --agents 500 --seed 7 --plot sim.svg --json sim.json
  npm run sim -- --traces DIR                    the public traces in that directory (docs name their sources)
  npm run sim -- --traces DIR --trace claude --every 4 --memory 1GiB --policy agent,lru
  npm run sim -- --frames 500,1000 --blocks 4000 with a swap file of 4,000 pages
  npm run sim -- --traces DIR --trace mooncake --bound   how much of the optimum needs the future
  npm run sim -- --bookkeeping                   what the pool's page operations cost: CPU time, in µs a page
  npm run sim -- --record sim.json               a report in bench/results, with the bookkeeping, for \`bench check\`
  npm run sim -- sched --help                    scheduling policies

Pages hit are pages of prompts that need not be computed. The optimum is Belady's MIN on the same string
of accesses: no policy can hit more. Exit codes: 0 fine, 1 failed, 2 wrong arguments, 130 interrupted.`;

const Options = z.object({
  traces: z.string().optional(),
  trace: z.array(z.string()),
  policy: z.array(z.enum(EVICTION_NAMES)),
  seed: z.number(),
  frames: z.array(z.number()).optional(),
  memory: z.number().optional(),
  blocks: z.number(),
  scale: z.number().optional(),
  every: z.number(),
  agents: z.number(),
  json: z.string().optional(),
  plot: z.string().optional(),
  bound: z.boolean().default(false),
  bookkeeping: z.boolean().default(false),
  record: z.array(z.string()).optional(),
});
type Options = z.infer<typeof Options>;

export function program(): Command {
  return (
    new Command("sim")
      .description("eviction policies on a virtual clock, beside the optimum")
      .option("--traces <dir>", "where the public traces lie (default: a synthetic workload)")
      .addOption(
        new Option("--trace <list>", "which").default(TRACE_NAMES).argParser(some(TRACE_NAMES)),
      )
      .addOption(
        new Option("--policy <list>", "which")
          .default(EVICTION_NAMES)
          .argParser(some(EVICTION_NAMES)),
      )
      .addOption(
        new Option("--seed <n>", "of all that is made up").default(1).argParser(atLeast(0)),
      )
      .option(
        "--frames <list>",
        "pages of RAM (default: ¼, ½, 1 and 2 times what is of use at once)",
        list,
      )
      .addOption(
        new Option("--memory <size>", "RAM for pages, as 1GiB").argParser(size).conflicts("frames"),
      )
      .addOption(new Option("--blocks <n>", "pages of swap").default(0).argParser(atLeast(0)))
      .option(
        "--scale <n>",
        "tokens of a trace for one token here (default: the trace's)",
        atLeast(1),
      )
      .addOption(
        new Option("--every <n>", "only each n-th session").default(1).argParser(atLeast(1)),
      )
      .addOption(
        new Option("--agents <n>", "of the synthetic workload").default(150).argParser(atLeast(1)),
      )
      .option("--json <file>", "keep the figures as JSON")
      .option("--plot <file>", "keep a picture of them as SVG")
      .option(
        "--bound",
        "also what could be hit by who knows odds and not the future; slow on long traces",
      )
      .option("--bookkeeping", "time the pool's page operations instead")
      .option("--record <files...>", "make a report for `bench check` of what --json kept, instead")
      // What stands behind the name of a command is its own.
      .enablePositionalOptions()
      .addCommand(schedCommand().exitOverride())
      .addHelpText("after", EXAMPLES)
      .exitOverride()
      .action(async (raw) => {
        const options = Options.parse(raw);
        if (options.record) process.stdout.write(`${await record(options.record)}\n`);
        else if (options.bookkeeping) process.stdout.write(`${bookkeepingTable(options.policy)}\n`);
        else await interruptible((signal) => simulate(options, signal));
      })
  );
}

async function simulate(options: Options, signal: AbortSignal): Promise<void> {
  const bar = progress();
  const steps = new Steps(signal, (done) => bar?.update(done));
  const { memory } = options;
  const frames = memory === undefined ? options.frames : [Math.floor(memory / PAGE_BYTES)];
  const comparisons: Comparison[] = [];
  try {
    for (const name of options.traces === undefined ? ["synthetic"] : options.trace) {
      const workload = makeWorkload(name, options);
      const { policy: policies, blocks, bound } = options;
      const settings = { policies, frames, blocks, bound };
      comparisons.push(
        await compare(workload, settings, steps, (what) => bar?.update(0, { what })),
      );
    }
  } finally {
    bar?.stop();
  }
  process.stdout.write(`${comparisons.map(comparisonTable).join("\n\n")}\n`);
  const { seed, json, plot: picture } = options;
  if (json !== undefined)
    writeFileSync(json, `${JSON.stringify({ seed, comparisons }, null, 1)}\n`);
  if (picture !== undefined) writeFileSync(picture, plot(comparisons));
}

function list(text: string): number[] {
  return text.split(",").map(atLeast(1));
}

function size(text: string): number {
  const bytes = MEMORY.test(text) && !text.includes("%") ? memoryBytes(text, 0) : 0;
  if (bytes >= PAGE_BYTES) return bytes;
  throw new InvalidArgumentError(
    `Expected a size such as 512MiB, of at least ${PAGE_BYTES} bytes.`,
  );
}

/** The command line of the benchmark. A suite's module is loaded only when it is named. */
import { Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { GOALS } from "./goals.js";
import { check, verdictTable } from "./harness/check.js";
import { newestReports, resultsFolder, type SuiteName } from "./harness/report.js";
import { runSuite } from "./harness/run.js";
import { DEFAULT_MODEL, type SuiteResult } from "./suites/suite.js";

const EXAMPLES = `
Examples:
  npm run bench -- engine                    decode and prefill against node-llama-cpp, for the record
  npm run bench -- engine --rows 8 --full    8 rows only, contexts 64 and 512
  npm run bench -- quality                   recipe q8 against fp32 on the texts of bench/texts
  npm run bench -- kernel --quick            does it work? few rounds, not for the record
  npm run bench -- startup --json            the report as JSON on standard output
  npm run bench -- check                     the newest reports against the goals; exit 1 on a miss

Run on a machine that does nothing else: each report says what load it found. Exit codes: 0 fine,
1 failed or a goal was missed, 2 wrong arguments.`;

/** What every suite takes. */
const Common = z.object({
  model: z.string(),
  rounds: z.number().optional(),
  threads: z.number(),
  seed: z.number(),
  quick: z.boolean().default(false),
  json: z.boolean().default(false),
  save: z.boolean(),
  out: z.string(),
});

const Engine = Common.extend({
  gguf: z.string().optional(),
  rows: z.array(z.number()),
  full: z.boolean().default(false),
  prefill: z.number(),
  steps: z.number().optional(),
});

const Quality = Common.extend({ window: z.number(), windows: z.number().optional() });

const Kernel = Common.extend({
  agents: z.number(),
  words: z.number(),
  tokens: z.number().optional(),
  slotTokens: z.number(),
});

const Check = z.object({ json: z.boolean().default(false), from: z.string() });

/** Parses a whole number of at least `min`. */
function atLeast(min: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && Number.isSafeInteger(value)) return value;
    throw new InvalidArgumentError(`Expected a whole number of at least ${min}.`);
  };
}

function list(text: string): number[] {
  return text.split(",").map(atLeast(1));
}

function suiteCommand(name: SuiteName, description: string): Command {
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

const rounds = ({ rounds, quick }: z.infer<typeof Common>): number => rounds ?? (quick ? 1 : 5);

function engineCommand(): Command {
  return suiteCommand("engine", "our driver against node-llama-cpp on the same GGUF, in turns")
    .addOption(
      new Option("--rows <list>", "rows to decode at once").default([1, 4, 8, 16]).argParser(list),
    )
    .option("--full", "context 512 beside 64")
    .addOption(
      new Option("--prefill <n>", "tokens of the timed prompt; 0: none")
        .default(512)
        .argParser(atLeast(0)),
    )
    .option("--steps <n>", "timed decode steps (default: 64, with --quick 8)", atLeast(1))
    .option("--gguf <file>", "another GGUF for the peer")
    .action(async (raw) => {
      const options = Engine.parse(raw);
      const { model, gguf, rows, prefill, threads, seed, quick } = options;
      await report("engine", options, async () => {
        const { engine } = await import("./suites/engine.js");
        const contexts = options.full ? [64, 512] : [64];
        const steps = options.steps ?? (quick ? 8 : 64);
        return engine({
          model,
          gguf,
          rows,
          contexts,
          prefill,
          steps,
          rounds: rounds(options),
          threads,
          seed,
        });
      });
    });
}

function qualityCommand(): Command {
  return suiteCommand("quality", "what recipe q8 costs against the fp32 graph, on bench/texts")
    .addOption(new Option("--window <n>", "tokens of a window").default(512).argParser(atLeast(2)))
    .option("--windows <n>", "windows of each text (default: 9, with --quick 1)", atLeast(1))
    .action(async (raw) => {
      const options = Quality.parse(raw);
      const { model, window, threads, seed, quick } = options;
      await report("quality", options, async () => {
        const { quality } = await import("./suites/quality.js");
        return quality({
          model,
          window,
          windows: options.windows ?? (quick ? 1 : 9),
          threads,
          seed,
        });
      });
    });
}

function kernelCommand(): Command {
  return suiteCommand("kernel", "agents through the daemon against the bare driver, in turns")
    .addOption(new Option("--agents <n>", "agents, and slots").default(16).argParser(atLeast(1)))
    .addOption(new Option("--words <n>", "words of a prompt").default(60).argParser(atLeast(2)))
    .option("--tokens <n>", "tokens an agent generates (default: 128, with --quick 16)", atLeast(1))
    .addOption(
      new Option("--slot-tokens <n>", "window of a slot").default(512).argParser(atLeast(16)),
    )
    .action(async (raw) => {
      const options = Kernel.parse(raw);
      const { model, agents, words, slotTokens, threads, seed, quick } = options;
      await report("kernel", options, async () => {
        const { kernel } = await import("./suites/kernel.js");
        const tokens = options.tokens ?? (quick ? 16 : 128);
        return kernel({
          model,
          agents,
          words,
          tokens,
          slotTokens,
          rounds: rounds(options),
          threads,
          seed,
        });
      });
    });
}

function startupCommand(): Command {
  return suiteCommand("startup", "from the start of contixd to SERVING").action(async (raw) => {
    const options = Common.parse(raw);
    await report("startup", options, async () => {
      const { startup } = await import("./suites/startup.js");
      return startup({ model: options.model, rounds: rounds(options) });
    });
  });
}

function checkCommand(): Command {
  return new Command("check")
    .description("hold the newest kept reports against the goals; exit 1 on a miss")
    .option("--json", "print the verdicts as JSON")
    .option("--from <dir>", "where the reports are", resultsFolder())
    .action(async (raw) => {
      const { json, from } = Check.parse(raw);
      const verdicts = check(GOALS, await newestReports(from));
      process.stdout.write(
        `${json ? JSON.stringify(verdicts, null, 2) : verdictTable(verdicts)}\n`,
      );
      if (verdicts.some(({ met }) => !met)) process.exitCode = 1;
    });
}

/** Runs a suite and leaves its report: on standard output, and, unless quick, in a file. */
async function report(
  suite: SuiteName,
  { quick, json, save, out }: z.infer<typeof Common>,
  run: () => Promise<SuiteResult>,
): Promise<void> {
  await runSuite(suite, run, { quick, json, folder: save && !quick ? out : undefined });
}

/** The whole command line. It throws CommanderError where commander would exit. */
export function program(): Command {
  const bench = new Command("bench")
    .exitOverride()
    .description("Measures Contix, and holds the figures against its goals.")
    .addHelpText("after", EXAMPLES);
  for (const command of [
    engineCommand(),
    qualityCommand(),
    kernelCommand(),
    startupCommand(),
    checkCommand(),
  ]) {
    bench.addCommand(command.exitOverride());
  }
  return bench;
}

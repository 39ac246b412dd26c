/** The command line of the benchmark. */
import { Command } from "commander";
import { checkCommand } from "./commands/check.js";
import {
  engineCommand,
  kernelCommand,
  pagesCommand,
  qualityCommand,
  soakCommand,
  startupCommand,
  stepCommand,
} from "./commands/suites.js";

const EXAMPLES = `
Examples:
  npm run bench -- engine                    decode and prefill against the peers, for the record
  npm run bench -- engine --rows 8 --contexts 64 --prefill 0 --peers llama
  npm run bench -- step                      where a step's time goes, greedy and top-40
  npm run bench -- quality                   the model's recipe against fp32 on bench/texts
  npm run bench -- soak --seconds 600        random work at 1 and 2 threads; nothing may break or grow
  npm run bench -- kernel --quick            does it work? few rounds, not for the record
  npm run bench -- pages                     what pages save, and what moving them costs
  npm run bench -- startup --json            the report as JSON on standard output
  npm run bench -- check                     the newest reports against the goals; exit 1 on a miss
  npm run bench -- check engine step         the goals of these suites only

Run on a machine that does nothing else: each report says what load it found. Exit codes: 0 fine,
1 failed or a goal was missed, 2 wrong arguments.`;

/** The whole command line. It throws CommanderError where commander would exit. */
export function program(): Command {
  const bench = new Command("bench")
    .exitOverride()
    .description("Measures Contix, and holds the figures against its goals.")
    .addHelpText("after", EXAMPLES);
  for (const command of [
    engineCommand(),
    stepCommand(),
    qualityCommand(),
    kernelCommand(),
    pagesCommand(),
    startupCommand(),
    soakCommand(),
    checkCommand(),
  ]) {
    bench.addCommand(command.exitOverride());
  }
  return bench;
}

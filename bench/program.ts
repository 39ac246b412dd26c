/** The command line of the benchmark. */
import { Command } from "commander";
import { checkCommand } from "./commands/check.js";
import {
  schedCrowdCommand,
  schedFairCommand,
  schedLatencyCommand,
  schedRealCommand,
} from "./commands/sched.js";
import { schedDecisionsCommand } from "./commands/sched-decisions.js";
import {
  engineCommand,
  gatewayCommand,
  kernelCommand,
  malformedCommand,
  messagesCommand,
  pagesCommand,
  qualityCommand,
  soakCommand,
  startupCommand,
  stepCommand,
  syscallsCommand,
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
  npm run bench -- syscalls                  a call to the kernel and back, against a bare echo
  npm run bench -- messages                  agents that talk, against their model alone
  npm run bench -- malformed                 what 100,000 malformed frames a door cost another agent
  npm run bench -- gateway                   what HTTP costs over the SDK, by processor time
  npm run bench -- sched-decisions           the time of a decision with 10 to 100,000 bursts
  npm run bench -- startup --json            the report as JSON on standard output
  npm run bench -- sched-latency             short calls behind long ones, rr against fifo
  npm run bench -- sched-fair                a greedy principal among nine others
  npm run bench -- sched-real                the simulator against the real engine
  npm run bench -- sched-crowd               250 agent processes at once
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
    syscallsCommand(),
    messagesCommand(),
    malformedCommand(),
    startupCommand(),
    gatewayCommand(),
    soakCommand(),
    schedDecisionsCommand(),
    schedLatencyCommand(),
    schedFairCommand(),
    schedRealCommand(),
    schedCrowdCommand(),
    checkCommand(),
  ]) {
    bench.addCommand(command.exitOverride());
  }
  return bench;
}

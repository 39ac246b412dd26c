import { type Command, InvalidArgumentError, Option } from "commander";
import { attach } from "../attach.js";
import { finish, placeOf } from "../command.js";
import { describe, EXIT_FAILED } from "../errors.js";
import { readPid } from "../pid.js";
import { printJson, remark } from "../terminal.js";

const SIGNALS = ["INT", "TERM", "KILL", "USR1"];

interface Options {
  readonly signal: string;
  readonly json?: true;
}

/** `contix kill` */
export function registerKill(program: Command): void {
  const command = program
    .command("kill")
    .description("Send a signal to agents. TERM and INT let them tidy up; KILL does not ask.")
    .argument("<pid...>", "pids as `contix ps` shows them; 17 is short for n1.17")
    .addOption(
      new Option("-s, --signal <name>", SIGNALS.join(", ")).default("TERM").argParser(readSignal),
    )
    .option("--json", "the result for each pid as JSON, one a line")
    .action((pids: string[], options: Options, self: Command) => kill(pids, options, self));
  finish(command, ["contix kill n1.17", "contix kill -s KILL 17 18"]);
}

/** `term`, `SIGTERM` and `TERM` are the same. */
function readSignal(text: string): string {
  const name = text.toUpperCase().replace(/^SIG/, "");
  if (SIGNALS.includes(name)) return name;
  throw new InvalidArgumentError(`one of ${SIGNALS.join(", ")}`);
}

/** Signals each pid; one that is wrong does not keep the others from theirs. */
async function kill(shown: readonly string[], options: Options, self: Command): Promise<void> {
  const pids = shown.map(readPid);
  await using os = await attach(placeOf(self), "contix kill");
  for (const pid of pids) {
    const error = await os.proc.kill(pid, options.signal).then(() => undefined, describe);
    if (error !== undefined) process.exitCode = EXIT_FAILED;
    if (options.json === true) printJson({ pid, signal: options.signal, error: error ?? null });
    else if (error !== undefined) remark(`contix: ${pid}: ${error}`);
  }
}

import { type Command, InvalidArgumentError, Option } from "commander";
import { SIGNALS } from "../../proto/signals.js";
import type { Os } from "../../syscalls/index.js";
import { attach } from "../attach.js";
import { finish, placeOf } from "../command.js";
import { describe, EXIT_FAILED } from "../errors.js";
import { readPid } from "../pid.js";
import { printJson, remark } from "../terminal.js";

interface Options {
  readonly signal: string;
  readonly group?: true;
  readonly json?: true;
}

/** `contix kill` */
export function registerKill(program: Command): void {
  const command = program
    .command("kill")
    .description(
      "Send a signal to agents. TERM and INT let them tidy up; KILL does not ask. STOP takes an agent's slot away until CONT; its contexts stay. Who is asked to end is not restarted.",
    )
    .argument("<pid...>", "pids as `contix ps` shows them; 17 is short for n1.17")
    .addOption(
      new Option("-s, --signal <name>", SIGNALS.join(", ")).default("TERM").argParser(readSignal),
    )
    .option("-g, --group", "the whole group that each pid is in, or has led: a team")
    .option("--json", "the result for each pid as JSON, one a line")
    .action((pids: string[], options: Options, self: Command) => kill(pids, options, self));
  finish(command, [
    "contix kill n1.17",
    "contix kill -g 17",
    "contix kill -s STOP 17",
    "contix kill -s KILL 17 18",
  ]);
}

/** `term`, `SIGTERM` and `TERM` are the same. */
function readSignal(text: string): string {
  const name = text.toUpperCase().replace(/^SIG/, "");
  if (SIGNALS.some((signal) => signal === name)) return name;
  throw new InvalidArgumentError(`one of ${SIGNALS.join(", ")}`);
}

/** Signals each pid; one that is wrong does not keep the others from theirs. */
async function kill(shown: readonly string[], options: Options, self: Command): Promise<void> {
  const pids = shown.map(readPid);
  await using os = await attach(placeOf(self), "contix kill");
  for (const pid of pids) {
    const error = await send(os, pid, options).then(() => undefined, describe);
    if (error !== undefined) process.exitCode = EXIT_FAILED;
    if (options.json === true) printJson({ pid, signal: options.signal, error: error ?? null });
    else if (error !== undefined) remark(`contix: ${pid}: ${error}`);
  }
}

async function send(os: Os, pid: string, options: Options): Promise<void> {
  const { signal } = options;
  const group = options.group === true;
  // The kernel knows a group by who lives in it; people know it by its leader, who may be over.
  const member = group ? await memberOf(os, pid) : pid;
  await os.proc.kill(member, signal, { group });
}

async function memberOf(os: Os, pid: string): Promise<string> {
  const procs = await os.proc.ps();
  if (procs.some((proc) => proc.pid === pid)) return pid;
  return procs.find((proc) => proc.group === pid)?.pid ?? pid;
}

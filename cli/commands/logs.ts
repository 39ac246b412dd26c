import { existsSync } from "node:fs";
import type { Command } from "commander";
import { attach } from "../attach.js";
import { finish, type Place, placeOf } from "../command.js";
import { CliError } from "../errors.js";
import { follow } from "../follow.js";
import { agentLog, daemonLog, runningDaemon } from "../home.js";
import { readPid } from "../pid.js";
import { interruptible, pause } from "../terminal.js";

const ALIVE_POLL_MS = 300;

interface Options {
  readonly follow?: true;
}

/** `contix logs` */
export function registerLogs(program: Command): void {
  const command = program
    .command("logs")
    .description("Show what an agent has written to its stdout and stderr, or the daemon's log.")
    .argument("<pid>", "a pid as `contix ps` shows it, or the word daemon")
    .option("-f, --follow", "go on until the process ends, or Ctrl-C")
    .action((what: string, options: Options, self: Command) => logs(what, options, placeOf(self)));
  finish(command, ["contix logs n1.17", "contix logs -f 17", "contix logs daemon"]);
}

async function logs(what: string, options: Options, place: Place): Promise<void> {
  const pid = what === "daemon" ? undefined : readPid(what);
  const path = pid === undefined ? daemonLog(place.home) : agentLog(place.home, pid);
  if (!existsSync(path))
    throw new CliError(`no log of ${what} at ${path}: list agents with \`contix ps -a\``);
  await interruptible(async (interrupted) => {
    const over = new AbortController();
    if (options.follow === true) void untilOver(place, pid, interrupted).then(() => over.abort());
    else over.abort();
    for await (const chunk of follow(path, { done: over.signal })) process.stdout.write(chunk);
  });
}

/** Resolves when nothing more can be written: the process is over, or the daemon, or Ctrl-C. */
async function untilOver(
  place: Place,
  pid: string | undefined,
  interrupted: AbortSignal,
): Promise<void> {
  try {
    if (pid === undefined) {
      while (!interrupted.aborted && (await runningDaemon(place.home)) !== undefined)
        await pause(ALIVE_POLL_MS, interrupted);
      return;
    }
    await using os = await attach(place, "contix logs");
    while (!interrupted.aborted) {
      const procs = await os.proc.ps();
      if (!procs.some((proc) => proc.pid === pid)) return;
      await pause(ALIVE_POLL_MS, interrupted);
    }
  } catch {
    // Without a daemon no agent lives that could write more.
  }
}

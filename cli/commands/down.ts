import type { Command } from "commander";
import { finish, placeOf, whole } from "../command.js";
import { stopDaemon } from "../daemon.js";
import { runningDaemon } from "../home.js";
import { print, printJson } from "../terminal.js";

interface Options {
  readonly timeout: number;
  readonly force?: true;
  readonly json?: true;
}

/** `contix down` */
export function registerDown(program: Command): void {
  const command = program
    .command("down")
    .description("Let the daemon finish what runs and end, and wait until it has.")
    .option("--timeout <seconds>", "how long to wait", whole(1), 30)
    .option("--force", "kill it when it has not ended in time")
    .option("--json", "the result as JSON")
    .action((options: Options, self: Command) => down(placeOf(self).home, options));
  finish(command, ["contix down", "contix down --force --timeout 5"]);
}

async function down(home: string, options: Options): Promise<void> {
  const record = await runningDaemon(home);
  if (record === undefined) {
    // What was asked for is so already: no failure, as with a second `contix up`.
    if (options.json === true) printJson({ pid: null, how: "none" });
    else print(`no daemon runs on ${home}`);
    return;
  }
  const how = await stopDaemon(home, record, {
    timeoutMs: options.timeout * 1000,
    force: options.force === true,
  });
  if (options.json === true) printJson({ pid: record.pid, how });
  else print(`contixd (process ${record.pid}) ${how === "ended" ? "has ended" : "was killed"}`);
}

import type { Command } from "commander";
import type { Os, ProcInfo } from "../../syscalls/index.js";
import { attach } from "../attach.js";
import { type Colours, out } from "../colour.js";
import { finish, placeOf } from "../command.js";
import { count, duration, table } from "../format.js";
import { interruptible, isLive, pause, print, printJson } from "../terminal.js";

const WATCH_MS = 500;

interface Options {
  readonly all?: true;
  readonly json?: true;
  readonly watch?: true;
}

/** `contix ps` */
export function registerPs(program: Command): void {
  const command = program
    .command("ps")
    .description("List the agents: what each does, what it waits for, what it has used.")
    .option("-a, --all", "also those that have ended")
    .option("--json", "as JSON: one array")
    .option("-w, --watch", "again and again, until Ctrl-C")
    .action((options: Options, self: Command) => ps(options, self));
  finish(command, ["contix ps", "contix ps -a --json", "contix ps --watch"]);
}

async function ps(options: Options, self: Command): Promise<void> {
  await using os = await attach(placeOf(self), "contix ps");
  if (options.watch !== true) return show(await listOthers(os, options), options);
  await interruptible((signal) => watch(os, options, signal));
}

async function watch(os: Os, options: Options, signal: AbortSignal): Promise<void> {
  const live = isLive() && options.json !== true;
  const { default: logUpdate } = await import("log-update");
  while (!signal.aborted) {
    const procs = await listOthers(os, options);
    if (live) logUpdate(psTable(procs, out));
    else show(procs, options);
    await pause(WATCH_MS, signal);
  }
  if (live) logUpdate.done();
}

/** All processes but this command's own, which is gone before anyone reads of it. */
async function listOthers(os: Os, options: Options): Promise<ProcInfo[]> {
  const procs = await os.proc.ps({ all: options.all === true });
  return procs.filter((proc) => proc.pid !== os.pid);
}

function show(procs: readonly ProcInfo[], options: Options): void {
  if (options.json === true) printJson(procs);
  else print(psTable(procs, out));
}

/** The table of `contix ps`. */
export function psTable(procs: readonly ProcInfo[], colours: Colours): string {
  const columns = [
    { title: "PID" },
    { title: "NAME" },
    { title: "STATE" },
    { title: "WAITING ON" },
    { title: "SLOT", right: true },
    { title: "IN", right: true },
    { title: "OUT", right: true },
    { title: "QUEUED", right: true },
    { title: "AGE", right: true },
    { title: "MODEL" },
  ];
  const rows = procs.map((proc) => [
    proc.pid,
    proc.name,
    stateColour(proc.state, colours)(proc.state),
    proc.waitingOn === "" ? "-" : proc.waitingOn,
    proc.slot === null ? "-" : String(proc.slot),
    count(proc.tokensIn),
    count(proc.tokensOut),
    duration(proc.queuedMs * 1000),
    duration(proc.ageMs * 1000),
    proc.models.length === 0 ? "-" : proc.models.join(","),
  ]);
  return table(columns, rows, colours.bold);
}

/** The colour that a state has everywhere. */
export function stateColour(state: string, colours: Colours): (text: string) => string {
  if (state === "running") return colours.green;
  if (state === "ready") return colours.yellow;
  if (state === "zombie" || state === "detached") return colours.dim;
  return (text) => text;
}

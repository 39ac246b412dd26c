import { type Command, Option } from "commander";
import type { Os, ProcInfo } from "../../syscalls/index.js";
import { attach } from "../attach.js";
import { type Colours, out } from "../colour.js";
import { finish, placeOf } from "../command.js";
import { type Column, count, duration, table } from "../format.js";
import { readPid } from "../pid.js";
import { orderProcesses, PROCESS_KEYS, type ProcessKey, treeOf } from "../processes.js";
import { interruptible, isLive, pause, print, printJson } from "../terminal.js";
import { printable } from "../top/cells.js";

const WATCH_MS = 500;

/** How the table is arranged. */
export interface TableOptions {
  readonly sort?: ProcessKey | undefined;
  readonly reverse?: boolean | undefined;
  /** Each agent under its parent. */
  readonly tree?: boolean | undefined;
  /** More columns. */
  readonly long?: boolean | undefined;
}

interface Options extends TableOptions {
  readonly all?: true;
  readonly json?: true;
  readonly watch?: true;
  readonly group?: string;
}

/** `contix ps` */
export function registerPs(program: Command): void {
  const command = program
    .command("ps")
    .description("List the agents: what each does, what it waits for, what it has used.")
    .option("-a, --all", "also those that have ended")
    .option("-l, --long", "also parent, run, principal, pages, OS process, isolation, restarts")
    .option("-t, --tree", "each agent under the one that started it")
    .addOption(
      new Option("-s, --sort <key>", "numbers: the largest first").choices([...PROCESS_KEYS]),
    )
    .option("-r, --reverse", "in the other order")
    .option("-g, --group <pid>", "only the process group that this agent leads")
    .option("--json", "as JSON: one array")
    .option("-w, --watch", "again and again, until Ctrl-C")
    .action((options: Options, self: Command) => ps(options, self));
  finish(command, ["contix ps", "contix ps --tree", "contix ps -a --sort out --json"]);
}

async function ps(options: Options, self: Command): Promise<void> {
  const group = options.group === undefined ? undefined : readPid(options.group);
  await using os = await attach(placeOf(self), "contix ps");
  if (options.watch !== true) return show(await listOthers(os, options, group), options);
  await interruptible((signal) => watch(os, options, group, signal));
}

async function watch(
  os: Os,
  options: Options,
  group: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const live = isLive() && options.json !== true;
  const { default: logUpdate } = await import("log-update");
  while (!signal.aborted) {
    const procs = await listOthers(os, options, group);
    if (live) logUpdate(psTable(procs, out, options));
    else show(procs, options);
    await pause(WATCH_MS, signal);
  }
  if (live) logUpdate.done();
}

/** All processes but this command's own, which is gone before anyone reads of it. */
async function listOthers(
  os: Os,
  { all, sort, reverse = false }: Options,
  group: string | undefined,
): Promise<ProcInfo[]> {
  const procs = await os.proc.ps({ all: all === true });
  const others = procs.filter((proc) => proc.pid !== os.pid);
  const members = group === undefined ? others : others.filter((proc) => proc.group === group);
  return orderProcesses(members, sort ?? "pid", reverse);
}

function show(procs: readonly ProcInfo[], options: Options): void {
  if (options.json === true) printJson(procs);
  else print(psTable(procs, out, options));
}

interface PsColumn extends Column {
  readonly text: (proc: ProcInfo, colours: Colours) => string;
}

const COLUMNS: readonly PsColumn[] = [
  { title: "STATE", text: ({ state }, colours) => stateColour(state, colours)(state) },
  { title: "WAITING ON", text: waitingOn },
  { title: "CLASS", text: (proc) => proc.class },
  { title: "NI", right: true, text: ({ nice }) => String(nice) },
  { title: "SLOT", right: true, text: ({ slot }) => (slot === null ? "-" : String(slot)) },
  { title: "IN", right: true, text: (proc) => count(proc.tokensIn) },
  { title: "OUT", right: true, text: (proc) => count(proc.tokensOut) },
  { title: "QUEUED", right: true, text: (proc) => duration(proc.queuedMs * 1000) },
  { title: "AGE", right: true, text: (proc) => duration(proc.ageMs * 1000) },
  { title: "GROUP", text: ({ group }) => group },
  { title: "SESSION", text: ({ session }) => session },
  { title: "MODEL", text: ({ models }) => printable(models.join(",")) || "-" },
];

const LONG: readonly PsColumn[] = [
  { title: "PARENT", text: ({ parent }) => parent ?? "-" },
  { title: "RUN", right: true, text: ({ run }) => String(run) },
  { title: "PRINCIPAL", text: ({ principal }) => printable(principal) },
  { title: "CONTEXTS", right: true, text: (proc) => count(proc.contexts) },
  { title: "PAGES", right: true, text: ({ pages }) => count(pages) },
  { title: "RAM", right: true, text: (proc) => count(proc.pagesInMemory) },
  { title: "SWAP", right: true, text: (proc) => count(proc.pagesSwapped) },
  { title: "MAIL", right: true, text: ({ mail }) => count(mail) },
  { title: "OS PID", right: true, text: ({ osPid }) => (osPid === null ? "-" : String(osPid)) },
  { title: "RESTART", text: ({ restart }) => restart || "-" },
  { title: "ISOLATION", text: ({ isolation }) => printable(isolation) || "-" },
];

/** The table of `contix ps`. */
export function psTable(
  procs: readonly ProcInfo[],
  colours: Colours,
  { tree = false, long = false }: TableOptions = {},
): string {
  const columns = long ? [...COLUMNS, ...LONG] : COLUMNS;
  const leaves = tree ? treeOf(procs) : procs.map((proc) => ({ proc, branch: "" }));
  const rows = leaves.map(({ proc, branch }) => [
    proc.pid,
    branch + printable(proc.name),
    ...columns.map(({ text }) => text(proc, colours)),
  ]);
  return table([{ title: "PID" }, { title: "NAME" }, ...columns], rows, colours.bold);
}

/** The colour that a state has everywhere. */
export function stateColour(state: string, colours: Colours): (text: string) => string {
  if (state === "running") return colours.green;
  if (state === "ready") return colours.yellow;
  if (state === "zombie" || state === "detached") return colours.dim;
  if (state === "stopped") return colours.magenta;
  return (text) => text;
}

/** `message`, or `restart in 12.0 s`. */
function waitingOn({ waitingOn: what, restartInMs }: ProcInfo): string {
  if (restartInMs !== null) return `${what} in ${duration(restartInMs * 1000)}`;
  return what || "-";
}

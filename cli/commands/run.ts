import type { Command } from "commander";
import type { Child, Exit, Os } from "../../syscalls/index.js";
import { attachOrStart, startIfNone } from "../attach.js";
import { collect, finish, type Place, placeOf } from "../command.js";
import { CliError, usage } from "../errors.js";
import { exitCodeFor } from "../exit-code.js";
import { follow } from "../follow.js";
import { runHere } from "../foreground.js";
import { commandFor, processName } from "../launch.js";
import { type PrefillLine, prefillLine } from "../prefill-line.js";
import { watchPrefill } from "../prefill-watch.js";
import { interruptible, print, printJson, remark, whenPipeCloses } from "../terminal.js";
import { addProgramFlags, type ProgramFlags, spawnOptions } from "./run-options.js";

interface Options extends ProgramFlags {
  readonly file?: string;
  readonly detach?: true;
  readonly interactive?: true;
  readonly env?: readonly string[];
  readonly name?: string;
  readonly json?: true;
}

/** `contix run` */
export function registerRun(program: Command): void {
  const command = program
    .command("run")
    .description(
      "Run a program as an agent: the kernel starts it, its output comes here, and its exit code is this command's. TypeScript runs by tsx, JavaScript by node, anything else as it stands. Starts the daemon when none runs.",
    )
    .argument("[program]", "a .ts or .js file, or a command")
    .argument("[args...]", "its arguments, to the end of the line")
    .passThroughOptions()
    .option("-f, --file <manifest>", "a team of agents, from its manifest (YAML or JSON)")
    .option("-d, --detach", "print the pid and return; see `contix logs`")
    .option("-i, --interactive", "keep this terminal: the program reads from its stdin")
    .option("-e, --env <NAME[=value]>", "a variable for it; may be given again", collect)
    .option("--name <name>", "what `contix ps` shows; default: the program's file name")
    .option("--json", "with --detach: the pid as JSON; with --file: what happens, an event a line")
    .action((file: string | undefined, args: string[], options: Options, self: Command) =>
      run(file, args, options, placeOf(self)),
    );
  addProgramFlags(command);
  finish(command, [
    "contix run agents/hello.ts",
    "contix run --detach agents/summarize.ts agents/data/texts/bees.txt",
    "contix run -i agents/support.ts agents/data/faq",
    "contix run -e LANG=C python3 agent.py",
    "contix run --class batch --quota tokens=50000 --quota processes=8 agents/hello.ts",
    "contix run -d --restart on-failure --watchdog 30s agents/hello.ts",
    "contix run --memory 1GiB --permission --read /srv/data dist/agent.js",
    "contix run -f agents/teams/review.yaml",
  ]);
}

async function run(
  file: string | undefined,
  args: readonly string[],
  options: Options,
  place: Place,
): Promise<void> {
  if (options.file !== undefined) {
    const { runTeam } = await import("./run-team.js");
    if (file !== undefined) throw usage("--file and a program exclude each other");
    return runTeam(options.file, options, place);
  }
  if (file === undefined) throw usage("a program is missing, or --file with a manifest");
  const argv = commandFor(file, args, process.cwd());
  const env = readEnvironment(options.env ?? []);
  if (options.interactive === true) {
    if (options.detach === true) throw usage("--interactive and --detach exclude each other");
    await interruptible((signal) => startIfNone(place, signal));
    process.exitCode = await runHere(argv, env, place);
    return;
  }
  await using os = await interruptible((signal) => attachOrStart(place, "contix run", signal));
  const name = options.name ?? processName(file);
  const child = await os.proc.spawn(argv, { env, name, ...spawnOptions(options) });
  if (options.detach !== true) process.exitCode = exitCodeFor(await watch(os, child));
  else if (options.json === true) printJson({ pid: child.pid });
  else print(child.pid);
}

/** Copies the agent's output to the terminal until it ends, with a line while it reads a long
 * prompt, and hands Ctrl-C on to it. */
async function watch(os: Os, child: Child): Promise<Exit> {
  const log = (await os.proc.ps({ all: true })).find(({ pid }) => pid === child.pid)?.log;
  const over = new AbortController();
  const release = handOnSignals(child);
  using line = prefillLine();
  try {
    const copying = log == null ? undefined : copy(log, over.signal, line);
    const slots = async () => (await os.sys.stats()).slot;
    const reading = line.live && watchPrefill({ pid: child.pid, line, slots }, over.signal);
    const exit = await child.wait().finally(() => over.abort());
    await Promise.all([copying, reading]);
    if (exit.cause !== "exit") remark(`contix: ${child.pid} ended: ${exit.cause}`);
    return exit;
  } finally {
    release();
  }
}

async function copy(log: string, done: AbortSignal, line: PrefillLine): Promise<void> {
  for await (const chunk of follow(log, { done })) {
    line.clear();
    process.stdout.write(chunk);
  }
}

/** The first Ctrl-C asks (INT), the second insists (TERM), the third ends it (KILL). */
function handOnSignals(child: Child): () => void {
  const steps = ["INT", "TERM", "KILL"] as const;
  let presses = 0;
  const send = (name: "INT" | "TERM" | "KILL"): void => {
    // An agent that is gone already got what it was asked for.
    child.kill(name).catch(() => undefined);
  };
  const onInterrupt = (): void => {
    send(steps[Math.min(presses, 2)] ?? "KILL");
    presses += 1;
  };
  const onTerm = (): void => send("TERM");
  process.on("SIGINT", onInterrupt);
  process.on("SIGTERM", onTerm);
  process.on("SIGHUP", onTerm);
  const restorePipe = whenPipeCloses(onTerm);
  return () => {
    process.off("SIGINT", onInterrupt);
    process.off("SIGTERM", onTerm);
    process.off("SIGHUP", onTerm);
    restorePipe();
  };
}

/** `NAME=value`, or `NAME` for this shell's value. */
function readEnvironment(items: readonly string[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const item of items) {
    const at = item.indexOf("=");
    const name = at < 0 ? item : item.slice(0, at);
    if (name === "") throw usage(`--env ${item}: a name is missing`);
    const value = at < 0 ? process.env[name] : item.slice(at + 1);
    if (value === undefined) throw new CliError(`--env ${name}: it is not set here`);
    env[name] = value;
  }
  return env;
}

/**
 * The command line as a whole. A command's module (and with it gRPC or the model library) is
 * loaded only when that command is named, so that `contix --help` answers at once.
 */
import { Command, CommanderError } from "commander";
import { addPlaceOptions } from "./command.js";
import { describe, EXIT_USAGE, exitCodeOf } from "./errors.js";
import { remark } from "./terminal.js";
import { VERSION } from "./version.js";

type Register = (program: Command) => void;

interface Entry {
  readonly name: string;
  readonly group: string;
  readonly summary: string;
  readonly load: () => Promise<Register>;
}

const DAEMON = "Daemon:";
const AGENTS = "Agents:";
const MODEL = "The model:";

const COMMANDS: readonly Entry[] = [
  {
    name: "demo",
    group: "First light:",
    summary: "eight agents at work on a real model, in a daemon of their own",
    load: async () => (await import("./commands/demo.js")).registerDemo,
  },
  {
    name: "up",
    group: DAEMON,
    summary: "start the daemon in the background and wait until it is ready",
    load: async () => (await import("./commands/up.js")).registerUp,
  },
  {
    name: "down",
    group: DAEMON,
    summary: "let the daemon finish and end",
    load: async () => (await import("./commands/down.js")).registerDown,
  },
  {
    name: "stats",
    group: DAEMON,
    summary: "what the kernel is doing: slots, queue, tokens",
    load: async () => (await import("./commands/stats.js")).registerStats,
  },
  {
    name: "free",
    group: DAEMON,
    summary: "where contexts' memory is, and who holds it",
    load: async () => (await import("./commands/free.js")).registerFree,
  },
  {
    name: "doctor",
    group: DAEMON,
    summary: "check this machine and say what to do",
    load: async () => (await import("./commands/doctor.js")).registerDoctor,
  },
  {
    name: "run",
    group: AGENTS,
    summary: "run a program as an agent",
    load: async () => (await import("./commands/run.js")).registerRun,
  },
  {
    name: "ps",
    group: AGENTS,
    summary: "list the agents",
    load: async () => (await import("./commands/ps.js")).registerPs,
  },
  {
    name: "kill",
    group: AGENTS,
    summary: "send a signal to agents",
    load: async () => (await import("./commands/kill.js")).registerKill,
  },
  {
    name: "logs",
    group: AGENTS,
    summary: "show what an agent, or the daemon, has written",
    load: async () => (await import("./commands/logs.js")).registerLogs,
  },
  {
    name: "ctx",
    group: AGENTS,
    summary: "list, show, fork, save, restore and remove contexts",
    load: async () => (await import("./commands/ctx.js")).registerCtx,
  },
  {
    name: "generate",
    group: MODEL,
    summary: "continue a prompt",
    load: async () => (await import("./commands/generate.js")).registerGenerate,
  },
  {
    name: "chat",
    group: MODEL,
    summary: "talk to the model",
    load: async () => (await import("./commands/chat.js")).registerChat,
  },
  {
    name: "models",
    group: MODEL,
    summary: "the models that the daemon serves, and which of them run",
    load: async () => (await import("./commands/serving.js")).registerModels,
  },
  {
    name: "model",
    group: MODEL,
    summary: "pull, list, show, import and remove models",
    load: async () => (await import("./commands/model.js")).registerModelCommands,
  },
];

/**
 * Runs one command line.
 *
 * @param argv the words after `contix`.
 * @returns the exit code.
 */
export async function main(argv: readonly string[]): Promise<number> {
  const named = namedCommand(argv);
  try {
    const program = await buildProgram(named);
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync([...argv], { from: "user" });
    // A command that has more to say than "done" or "failed" has set it already.
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return report(error, named);
  }
}

/** The program, with the named command whole and the others as a line of help. */
export async function buildProgram(named: string | undefined): Promise<Command> {
  const program = addPlaceOptions(new Command("contix"))
    .description("Contix runs LLM agents as processes over one shared model.")
    .version(VERSION, "-V, --version", "print the version")
    .enablePositionalOptions()
    .exitOverride()
    // Reported by `main`, as one line.
    .configureOutput({ outputError: () => undefined })
    .addHelpText("after", "\nStart here:\n  $ contix demo\n  $ contix COMMAND --help");
  for (const entry of COMMANDS) {
    if (entry.name === named) (await entry.load())(program);
    else program.command(entry.name).summary(entry.summary).description(entry.summary);
    const command = program.commands.find((c) => c.name() === entry.name);
    command?.helpGroup(entry.group).summary(entry.summary);
  }
  return program;
}

/** The first word that is neither an option nor an option's value; that of `help X` is X. */
function namedCommand(argv: readonly string[]): string | undefined {
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i];
    if (word === undefined || word === "--") return undefined;
    if (word === "--home" || word === "--address") i += 1;
    else if (!word.startsWith("-") && word !== "help") return word;
  }
  return undefined;
}

function report(error: unknown, named: string | undefined): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    const known = COMMANDS.some((entry) => entry.name === named);
    const help = known ? `contix ${named} --help` : "contix --help";
    const said = error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
    remark(
      `contix: ${said.replace(" is invalid. ", " is wrong: ").replace(/\.$/, "")}; see \`${help}\``,
    );
    return EXIT_USAGE;
  }
  const code = exitCodeOf(error);
  // Who pressed Ctrl-C knows why it ended.
  if (!(error instanceof Error && error.name === "AbortError"))
    remark(`contix: ${describe(error)}`);
  return code;
}

/**
 * The command line as a whole. A command's module (and with it gRPC or the model library) is
 * loaded only when that command is named, so that `contix --help` answers at once.
 */
import { Command, CommanderError } from "commander";
import { addPlaceOptions } from "./command.js";
import { describe, EXIT_USAGE, exitCodeOf, usage } from "./errors.js";
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
const RIGHTS = "Rights:";
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
    name: "sched",
    group: DAEMON,
    summary: "who holds the slots by which policy; another policy",
    load: async () => (await import("./commands/sched.js")).registerSched,
  },
  {
    name: "vmstat",
    group: DAEMON,
    summary: "processes, slots, pages and tokens, a line every so many seconds",
    load: async () => (await import("./commands/vmstat.js")).registerVmstat,
  },
  {
    name: "free",
    group: DAEMON,
    summary: "where contexts' memory is, and who holds it",
    load: async () => (await import("./commands/free.js")).registerFree,
  },
  {
    name: "gateway",
    group: DAEMON,
    summary: "serve OpenAI's HTTP API in front of a daemon",
    load: async () => (await import("./commands/gateway.js")).registerGateway,
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
    name: "top",
    group: AGENTS,
    summary: "a live page of the agents, the slots and the queue",
    load: async () => (await import("./commands/top.js")).registerTop,
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
    name: "principal",
    group: RIGHTS,
    summary: "for whom agents work: add, list and remove principals",
    load: async () => (await import("./commands/principal.js")).registerPrincipal,
  },
  {
    name: "key",
    group: RIGHTS,
    summary: "API keys: add, list, rotate and revoke them",
    load: async () => (await import("./commands/key.js")).registerKey,
  },
  {
    name: "ask",
    group: AGENTS,
    summary: "calls that wait for somebody's word: list, allow and deny them",
    load: async () => (await import("./commands/ask.js")).registerAsk,
  },
  {
    name: "audit",
    group: DAEMON,
    summary: "what was denied and what was changed, and whether that record is whole",
    load: async () => (await import("./commands/audit.js")).registerAudit,
  },
  {
    name: "events",
    group: DAEMON,
    summary: "what happens, as it happens, over the NATS door",
    load: async () => (await import("./commands/events.js")).registerEvents,
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
  const program = await buildProgram(named);
  try {
    const [first, about] = argv;
    if (first === undefined || (first === "help" && about === "help")) program.outputHelp();
    else if (first === "help" && about !== undefined && !isCommand(about))
      throw usage(`unknown command '${about}'; see \`contix --help\``);
    else await program.parseAsync([...argv], { from: "user" });
    // A command that has more to say than "done" or "failed" has set it already.
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return report(error, wholeName(program, argv));
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

function isCommand(word: string): boolean {
  return word.startsWith("-") || COMMANDS.some(({ name }) => name === word);
}

/** The command that was named, with its own commands: `contix model rm`. */
function wholeName(program: Command, argv: readonly string[]): string {
  let at = program;
  let name = program.name();
  for (const word of argv) {
    const next = at.commands.find((command) => command.name() === word);
    if (!next) continue;
    at = next;
    name += ` ${word}`;
  }
  return name;
}

function report(error: unknown, name: string): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    remark(`contix: ${mistake(error)}; see \`${name} --help\``);
    return EXIT_USAGE;
  }
  const code = exitCodeOf(error);
  // Who pressed Ctrl-C knows why it ended.
  if (!(error instanceof Error && error.name === "AbortError"))
    remark(`contix: ${describe(error)}`);
  return code;
}

/** What was wrong with the command line, in a line. */
function mistake({ code, message }: CommanderError): string {
  // It has printed the help of a command that is only a group of others.
  if (code === "commander.help") return "that needs one of the commands above";
  return message
    .replace(/^error: /, "")
    .replace(/\s*\n\s*/g, " ")
    .replace(
      /command-argument value '(.*)' is invalid for argument '(.*)'\. /,
      "$2 '$1' is wrong: ",
    )
    .replace(" is invalid. ", " is wrong: ")
    .replace(/\.$/, "");
}

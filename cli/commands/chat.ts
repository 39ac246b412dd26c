import { type Command, Option } from "commander";
import { OVERFLOW_POLICIES } from "../../kernel/mm/overflow/segments.js";
import { startIfNone } from "../attach.js";
import { finish, placeOf } from "../command.js";
import { runHere } from "../foreground.js";
import { packagePath } from "../package.js";
import { interruptible } from "../terminal.js";

interface Options {
  readonly model?: string;
  readonly overflow?: string;
  readonly summaries?: true;
}

/** `contix chat` */
export function registerChat(program: Command): void {
  const command = program
    .command("chat")
    .description(
      "Talk to the model in this terminal, over one context that lives on. Starts the daemon when none runs. It is the agent agents/chat.ts.",
    )
    .option("--model <name>", "default: the daemon's; one that does not run is started")
    .addOption(
      new Option(
        "--overflow <policy>",
        "which turns are moved out when the window is full; default: the daemon's, oldest",
      ).choices(OVERFLOW_POLICIES),
    )
    .option("--summaries", "the model sums up what is moved out; default: its first words stay")
    .action((options: Options, self: Command) => chat(options, self));
  finish(command, [
    "contix chat",
    "contix chat --model tiny",
    "contix chat --overflow relevance --summaries",
    "echo 'Name three rivers.' | contix chat",
  ]);
}

async function chat({ model, overflow, summaries }: Options, self: Command): Promise<void> {
  const place = placeOf(self);
  await interruptible((signal) => startIfNone(place, signal));
  const agent = packagePath("dist", "agents", "chat.js");
  const flags = [
    ...(model === undefined ? [] : [model]),
    ...(overflow === undefined ? [] : ["--overflow", overflow]),
    ...(summaries === true ? ["--summaries"] : []),
  ];
  process.exitCode = await runHere([process.execPath, agent, ...flags], {}, place);
}

import type { Command } from "commander";
import { startIfNone } from "../attach.js";
import { finish, placeOf } from "../command.js";
import { runHere } from "../foreground.js";
import { packagePath } from "../package.js";
import { interruptible } from "../terminal.js";

interface Options {
  readonly model?: string;
}

/** `contix chat` */
export function registerChat(program: Command): void {
  const command = program
    .command("chat")
    .description(
      "Talk to the model in this terminal, over one context that lives on. Starts the daemon when none runs. It is the agent agents/chat.ts.",
    )
    .option("--model <name>", "default: the daemon's; one that does not run is started")
    .action((options: Options, self: Command) => chat(options, self));
  finish(command, [
    "contix chat",
    "contix chat --model tiny",
    "echo 'Name three rivers.' | contix chat",
  ]);
}

async function chat({ model }: Options, self: Command): Promise<void> {
  const place = placeOf(self);
  await interruptible((signal) => startIfNone(place, signal));
  const agent = packagePath("dist", "agents", "chat.js");
  process.exitCode = await runHere(
    [process.execPath, agent, ...(model === undefined ? [] : [model])],
    {},
    place,
  );
}

#!/usr/bin/env node
/** contixd: the kernel daemon, in the foreground. */
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { type Config, loadConfig } from "../kernel/config.js";
import { VERSION } from "../kernel/kernel.js";
import { boot, type DriverCommand } from "../kernel/main.js";

const EXAMPLES = `
Examples:
  contixd                                   serve the default model on ~/.contix
  contixd --home /tmp/try --driver fake     a kernel without a model, for trying agents
  contixd --listen 127.0.0.1:7777           also on TCP, loopback only
  contixd --print-config                    what is in force, as JSON

Settings come from <home>/config.yaml, then CONTIX_* variables, then flags.`;

const number = (text: string): unknown => (/^\d+$/.test(text) ? Number(text) : text);

function program(): Command {
  return new Command("contixd")
    .description("The Contix kernel daemon, in the foreground.")
    .version(VERSION)
    .option("--home <dir>", "state, socket and logs (default: $CONTIX_HOME or ~/.contix)")
    .option("--model <name>", "the model to serve")
    .addOption(new Option("--driver <kind>", "the LLM driver").choices(["onnxruntime", "fake"]))
    .option("--driver-options <json>", "options of the driver, as JSON")
    .option("--slots <n>", "contexts that run at once", number)
    .option("--slot-tokens <n>", "window of a slot, tokens", number)
    .option("--threads <n>", "threads of the engine; 0: all cores", number)
    .option("--listen <address>", "also listen on TCP: a loopback HOST:PORT")
    .option("--policy <name>", "scheduling policy: rr or priority")
    .option("--quantum <n>", "tokens a burst may take while others wait", number)
    .option("--queue-limit <n>", "generations admitted beyond the slots", number)
    .option("--detach-grace-ms <n>", "how long a process without its stream may come back", number)
    .option("--drain-ms <n>", "how long calls may go on at shutdown", number)
    .option("--log-level <level>", "debug, info, warn, error or silent")
    .option("--print-config", "print the configuration in force and exit")
    .addHelpText("after", EXAMPLES);
}

/** The command that starts the driver. The model is compiled first when it is not yet. */
async function driverCommand(config: Config): Promise<DriverCommand> {
  const entry = config.driver === "fake" ? "fake/main.js" : "main.js";
  const path = fileURLToPath(new URL(`../servers/llm/${entry}`, import.meta.url));
  const command = [process.execPath, path];
  if (config.driver === "fake") return { command, model: "fake" };
  const { openLibrary } = await import("../servers/llm/models/library.js");
  const model = await openLibrary().compiled(config.model, { recipe: "q8" });
  return { command, model };
}

async function main(): Promise<void> {
  const { printConfig, ...flags } = program().parse().opts();
  const config = loadConfig(flags, process.env);
  if (printConfig) {
    process.stdout.write(`${JSON.stringify(config, null, 2)}\n`);
    return;
  }
  const booting = boot(config, await driverCommand(config));
  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      // A second signal does not wait for anybody; a first one during the boot waits for its end.
      if (stopping) process.exit(1);
      stopping = true;
      booting.then((daemon) => daemon.stop()).then(() => process.exit(0), fail);
    });
  }
  await booting;
}

function fail(error: unknown): void {
  process.stderr.write(`contixd: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

main().catch(fail);

#!/usr/bin/env node
/** contixd: the kernel daemon, in the foreground. */
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { type ConfigInput, loadConfig } from "../kernel/config.js";
import { VERSION } from "../kernel/kernel.js";
import { boot } from "../kernel/main.js";
import { EVICTION_NAMES } from "../kernel/mm/eviction/policies.js";
import { OVERFLOW_POLICIES } from "../kernel/mm/overflow/segments.js";
import { redacted } from "../kernel/nats/url.js";
import { POLICY_NAMES } from "../kernel/sched/policies.js";
import { collect } from "./command.js";
import { gatewayOf } from "./daemon-gateway.js";
import { ensureNatsServer } from "./nats/find.js";
import { servedModels } from "./served-models.js";

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
    .option(
      "--model <name>",
      "the default model; given again: started with the daemon too",
      collect,
    )
    .option("--preload <names>", "models that are started with the daemon too, with commas")
    .option("--model-idle <time>", "stop a model's driver after so long without use; 0: never")
    .option("--memory-budget <size>", "memory for all drivers: bytes, 6GiB, or 80%")
    .option("--page-memory <size>", "of it, each driver's pages: bytes, 1GiB, or 20%; 0: none")
    .option("--swap <size>", "each model's swap file: 4GiB; 0: none")
    .addOption(
      new Option("--eviction <policy>", "which pages go when there is no room").choices(
        EVICTION_NAMES,
      ),
    )
    .option("--speculate <n>", "tokens that a lone row guesses ahead, with KV in int8", number)
    .addOption(new Option("--driver <kind>", "the LLM driver").choices(["onnxruntime", "fake"]))
    .option("--driver-options <json>", "options of the driver, as JSON")
    .option("--recipe <recipe>", "how weights are computed: auto, int8, q8 or fp32")
    .option("--kv <format>", "how keys and values are stored: auto, fp32 or int8")
    .option("--slots <n>", "contexts that run at once", number)
    .option("--slot-tokens <n>", "window of a slot, tokens", number)
    .addOption(
      new Option(
        "--overflow <policy>",
        "what leaves a context that outgrows its window; none: it is refused",
      ).choices(OVERFLOW_POLICIES),
    )
    .option("--threads <n>", "threads of the engine; 0: all cores", number)
    .option("--listen <address>", "also listen on TCP: HOST:PORT; beyond loopback with TLS")
    .option("--tls-cert <file>", "certificate chain of the TCP address, PEM")
    .option("--tls-key <file>", "its key, PEM")
    .option("--tls-client-ca <file>", "mutual TLS: the CA of clients' certificates, PEM")
    .option("--http <address>", "serve OpenAI's HTTP API: HOST:PORT; beyond loopback with TLS")
    .option("--http-behind-proxy <boolean>", "true: a proxy before --http does TLS")
    .option("--nats <url>", "also a NATS door: embedded, or the URL of a server")
    .option("--nats-ca <file>", "PEM of the CA of that server's certificate")
    .option("--node <n>", "which kernel this is of those on one NATS server: 1 to 4095", number)
    .addOption(new Option("--policy <name>", "who holds the slots").choices(POLICY_NAMES))
    .option("--quantum <n>", "tokens a burst may take while others wait", number)
    .option("--inter-token-ms <n>", "the longest wait for a next token beside a prefill", number)
    .option("--queue-limit <n>", "generations admitted beyond the slots", number)
    .option("--detach-grace-ms <n>", "how long a process without its stream may come back", number)
    .option("--drain-ms <n>", "how long calls may go on at shutdown", number)
    .option("--audit-heads <file>", "export the signed heads of the audit log", (path) =>
      resolve(path),
    )
    .option("--log-level <level>", "debug, info, warn, error or silent")
    .option("--print-config", "print the configuration in force and exit")
    .addHelpText("after", EXAMPLES);
}

/** `--model A --model B`: the first is the default, the others are started with it. */
function modelSettings(models: readonly string[] | undefined, preload: unknown): ConfigInput {
  const [model, ...others] = models ?? [];
  return { model, preload: others.length > 0 ? others : preload };
}

async function main(): Promise<void> {
  const { printConfig, model, preload, ...flags } = program().parse().opts();
  const config = loadConfig({ ...flags, ...modelSettings(model, preload) }, process.env);
  if (printConfig) {
    const shown = { ...config, nats: redacted(config.nats) };
    process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
    return;
  }
  const models = servedModels(config);
  const booting = boot(config, {
    library: models,
    findNatsServer: (onTry) => ensureNatsServer({ onTry }),
    startBeside: (kernel) => gatewayOf(config, kernel),
  });
  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      // A second signal does not wait for anybody; a first one during the boot waits for its end.
      if (stopping) process.exit(1);
      stopping = true;
      booting.then((daemon) => daemon.stop()).then(() => process.exit(0), fail);
    });
  }
  const daemon = await booting;
  // Without certificates a HUP ends the daemon, as it ends any program whose terminal went.
  if (config.tlsCert !== "") process.on("SIGHUP", () => daemon.reload());
  models.serving();
}

function fail(error: unknown): void {
  process.stderr.write(`contixd: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

main().catch(fail);

import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { EVICTION_NAMES } from "../../kernel/mm/eviction/policies.js";
import { OVERFLOW_POLICIES } from "../../kernel/mm/overflow/segments.js";
import { POLICY_NAMES } from "../../kernel/sched/policies.js";
import { bringUp } from "../bring-up.js";
import { collect, finish, placeOf, whole } from "../command.js";
import { daemonLog } from "../home.js";
import { interruptible, print, printJson } from "../terminal.js";

interface Options {
  readonly json?: true;
  readonly home?: string;
  readonly address?: string;
  readonly model?: readonly string[];
  readonly [setting: string]: unknown;
}

/** `contix up` */
export function registerUp(program: Command): void {
  const command = program
    .command("up")
    .description(
      "Start the daemon in the background and wait until it is ready. The model is pulled and compiled first when it is not here yet. Settings not given here come from CONTIX_… variables and <home>/config.yaml.",
    )
    .option(
      "--model <name>",
      "the default model; given again: started with the daemon too. Others start when they are asked for",
      collect,
    )
    .option("--model-idle <time>", "stop a model's driver after so long without use; 0: never")
    .option("--memory-budget <size>", "memory for all drivers: bytes, 6GiB, or 80% of the machine")
    .option(
      "--page-memory <size>",
      "of that, each driver's room for contexts that are in no slot: 1GiB, or 20% of the machine; 0: none",
    )
    .option(
      "--swap <size>",
      "each model's swap file, in the home: 4GiB; 0, the default: none. What is there survives a driver's death",
    )
    .addOption(
      new Option("--eviction <policy>", "which of them go when there is no room").choices(
        EVICTION_NAMES,
      ),
    )
    .option(
      "--speculate <n>",
      "tokens guessed ahead where one context runs alone; only with KV in int8; 0: none",
      whole(0, 16),
    )
    .addOption(
      new Option("--driver <kind>", "the LLM driver; fake needs no model").choices([
        "onnxruntime",
        "fake",
      ]),
    )
    .option("--driver-options <json>", "options of the driver, as JSON")
    .addOption(
      new Option("--recipe <recipe>", "how weights are computed").choices([
        "auto",
        "int8",
        "q8",
        "fp32",
      ]),
    )
    .addOption(
      new Option("--kv <format>", "how keys and values are stored").choices([
        "auto",
        "fp32",
        "int8",
      ]),
    )
    .option("--slots <n>", "contexts that run at once", whole(1))
    .option("--slot-tokens <n>", "window of a slot, tokens", whole(1))
    .addOption(
      new Option(
        "--overflow <policy>",
        "what leaves a context that outgrows its window; none: it is refused",
      ).choices(OVERFLOW_POLICIES),
    )
    .option("--threads <n>", "threads of the engine; 0: all cores", whole(0))
    .option("--listen <host:port>", "also listen on TCP; beyond loopback with --tls-cert")
    .option("--tls-cert <file>", "certificate chain of --listen and --http, PEM", absolute)
    .option("--tls-key <file>", "its key, PEM", absolute)
    .option("--tls-client-ca <file>", "only clients with a certificate of this CA, PEM", absolute)
    .option("--nats <url>", "also a NATS door: embedded, or a server's URL")
    .option("--nats-ca <file>", "the CA of that server's certificate, PEM", absolute)
    .option("--node <n>", "which kernel this is of those on one NATS server", whole(1, 4095))
    .option("--http <host:port>", "serve OpenAI's HTTP API there; beyond loopback with TLS")
    .option("--http-behind-proxy", "a proxy before --http does TLS")
    .addOption(new Option("--policy <name>", "who holds the slots").choices(POLICY_NAMES))
    .option("--quantum <n>", "tokens a burst may take while others wait", whole(1))
    .option("--inter-token-ms <n>", "the longest wait for a next token beside a prefill", whole(1))
    .option("--queue-limit <n>", "generations admitted beyond the slots", whole(1))
    .option(
      "--audit-heads <file>",
      "export the signed heads of the audit log, to another disk at best",
      absolute,
    )
    .option("--log-level <level>", "debug, info, warn, error or silent")
    .option("--json", "the daemon's record as JSON")
    .action((options: Options, self: Command) => up(placeOf(self).home, options));
  finish(command, [
    "contix up",
    "contix up --model smollm2-135m-instruct --slots 8",
    "contix up --page-memory 4GiB --swap 16GiB --eviction agent",
    "contix up --model smollm2-135m-instruct --model tiny --memory-budget 4GiB",
    "contix up --http 127.0.0.1:8080",
    "contix up --listen 0.0.0.0:7777 --tls-cert cert.pem --tls-key key.pem",
    "contix up --nats embedded",
    "contix up --driver fake --home /tmp/try",
  ]);
}

/** The daemon need not be where the command was given. */
function absolute(path: string): string {
  return resolve(path);
}

async function up(directory: string, options: Options): Promise<void> {
  const { json, home: _home, address: _address, model: models = [], ...others } = options;
  const [model, ...preload] = models;
  const settings = { ...others, model, preload: preload.length > 0 ? preload : undefined };
  const { record, fresh } = await interruptible((signal) =>
    bringUp({ home: directory, settings, env: process.env, signal }),
  );
  if (json === true) return printJson({ ...record, home: directory, fresh });
  const what = `contixd ${record.version} (process ${record.pid}) on ${directory}`;
  if (!fresh) print(`already running: ${what}`);
  else print(`ready: ${what}; its log: ${daemonLog(directory)}`);
  for (const address of record.addresses?.slice(1) ?? []) print(`also at ${address}`);
  if (record.http !== undefined) print(`OpenAI's API: ${record.http}/v1`);
}

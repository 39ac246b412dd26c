import { type Command, InvalidArgumentError } from "commander";
import { type GatewayInput, OptionError } from "../../servers/gateway/options.js";
import { runGateway } from "../../servers/gateway/run.js";
import { collect, finish, placeOf, whole } from "../command.js";
import { usage } from "../errors.js";
import { remark } from "../terminal.js";

interface Options {
  readonly home?: string;
  readonly address?: string;
  readonly kernel?: string;
  readonly corsOrigin?: readonly string[];
  readonly [option: string]: unknown;
}

/** `contix gateway` */
export function registerGateway(program: Command): void {
  const command = program
    .command("gateway")
    .description(
      "Serve OpenAI's HTTP API in front of a daemon, in the foreground. Clients present keys of the kernel as bearer tokens; the gateway has none of its own.",
    )
    .option("--listen <host:port>", "where to listen", "127.0.0.1:8080")
    .option("--kernel <address>", "the daemon's door; by default that of the home")
    .option("--tls-cert <file>", "PEM certificate; beyond loopback, this and --tls-key are needed")
    .option("--tls-key <file>", "PEM key")
    .option("--behind-proxy", "plain HTTP beyond loopback: a proxy in front does TLS")
    .option("--cors-origin <origin>", "web pages of this origin may call; again for more", collect)
    .option("--body-bytes <n>", "the longest body of a request", whole(1024))
    .option("--request-ms <n>", "how long a request may take to arrive", whole(10))
    .option("--deadline-ms <n>", "how long an answer may take", whole(10))
    .option("--drain-ms <n>", "how long answers may go on after SIGTERM", whole(0))
    .option("--connections <n>", "connections at once", whole(1))
    .option("--requests <n>", "requests that are answered at once", whole(1))
    .option(
      "--faults-per-second <n>",
      "bad requests of one sender that are refused at once",
      whole(0),
    )
    .option("--choices <n>", "answers to one request, at most", whole(1, 128))
    .option("--log-level <level>", "debug, info, warn, error or silent", logLevel)
    .action((options: Options, self: Command) => gateway(self, options));
  finish(command, [
    "contix gateway",
    "contix gateway --listen 127.0.0.1:8080 --kernel unix:///run/contix/contixd.sock",
    "contix gateway --listen 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem",
  ]);
}

const LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

function logLevel(text: string): string {
  if ((LEVELS as readonly string[]).includes(text)) return text;
  throw new InvalidArgumentError(`must be one of ${LEVELS.join(", ")}`);
}

async function gateway(self: Command, options: Options): Promise<void> {
  const { home: _home, address: _address, corsOrigin, kernel, ...settings } = options;
  const place = placeOf(self);
  const input = {
    ...settings,
    corsOrigins: corsOrigin,
    kernel: kernel ?? place.address ?? `unix://${place.home}/contixd.sock`,
  };
  try {
    await runGateway(input as unknown as GatewayInput, (address) =>
      remark(`contix: OpenAI's API on ${address}/v1, for ${input.kernel}`),
    );
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    // The daemon that started it says so where its user looks.
    process.send?.({ failed: error.message });
    throw usage(error.message);
  }
}

/** A gateway as a process: from its options to its end by a signal. */
import { pino } from "pino";
import { type GatewayInput, readOptions } from "./options.js";
import { startGateway } from "./server.js";

/** What a supervisor is told, over the IPC channel, once the gateway listens. */
export interface GatewayReady {
  readonly listening: string;
}

/**
 * Runs a gateway until SIGTERM or SIGINT, or until the supervisor that started it is gone;
 * a second signal does not wait for anybody. Rejects with OptionError when it can not start.
 */
export async function runGateway(
  input: GatewayInput,
  onReady: (address: string) => void = () => undefined,
): Promise<void> {
  const options = readOptions(input);
  const log = pino({ level: options.logLevel, base: { part: "gateway" } }, pino.destination(2));
  const gateway = await startGateway(options, log);
  // Without certificates a HUP ends it, as it ends any program whose terminal went.
  if (options.tlsCert !== "") process.on("SIGHUP", () => gateway.reload());
  const ended = new Promise<string>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, resolve);
    process.once("disconnect", () => resolve("its supervisor is gone"));
  });
  log.info({ address: gateway.address, kernel: options.kernel }, "listening");
  process.send?.({ listening: gateway.address } satisfies GatewayReady);
  onReady(gateway.address);
  const why = await ended;
  log.info({ why }, "draining");
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));
  await gateway.stop();
  log.info({}, "stopped");
}

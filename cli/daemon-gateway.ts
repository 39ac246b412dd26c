/** `contix up --http`: from the daemon's configuration to its gateway. */
import type { Config } from "../kernel/config.js";
import { type GatewayProcess, startGatewayProcess } from "./gateway-process.js";

/** Starts the gateway that the configuration asks for, in front of the kernel at `kernel`. */
export async function gatewayOf(
  config: Config,
  kernel: string,
): Promise<GatewayProcess | undefined> {
  const { http, httpBehindProxy, tlsCert, tlsKey, drainMs, logLevel } = config;
  if (http === "") return undefined;
  const loopback = /^(127\.|localhost:|\[::1\]:)/.test(http);
  // On loopback and behind a proxy TLS would be one certificate to trust more.
  const tls = loopback || httpBehindProxy || tlsCert === "" ? [] : [tlsCert, tlsKey];
  const [cert, key] = tls;
  const flags = [
    ...["--listen", http, "--kernel", kernel],
    ...["--drain-ms", String(drainMs), "--log-level", logLevel],
    ...(httpBehindProxy ? ["--behind-proxy"] : []),
    ...(cert !== undefined && key !== undefined ? ["--tls-cert", cert, "--tls-key", key] : []),
  ];
  return startGatewayProcess({ flags, tls: cert !== undefined, drainMs });
}

/**
 * Opens the NATS door as the configuration asks: to a private server, which is found,
 * started and ended with the daemon, or to one that an operator runs. The code of NATS is
 * loaded only then.
 */
import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ContixError } from "../../proto/errno.js";
import { type Kernel, NODE } from "../kernel.js";
import { withoutUser } from "../nats/url.js";
import type { Authenticator } from "./authenticate.js";
import type { NatsDoor } from "./nats.js";

/** How often a server that is not there is tried again, microseconds. */
const RETRY_US = 2_000_000;

export interface NatsDoors {
  /** What a client connects to. */
  readonly url: string;
  /** Undefined while the server has not been reached yet. */
  readonly door: NatsDoor | undefined;
  /** Tells a head of the audit log; while NATS is not there the last one is kept, and told when it is. */
  head(line: string): void;
  close(): Promise<void>;
}

/** Finds the executable of a nats-server, or fetches one; hears what is tried. ENOENT. */
export type FindNatsServer = (onTry: (source: string) => void) => Promise<string>;

/** ENOENT when no nats-server can be had, EACCES when the given one does not know this kernel, EINVAL. */
export async function openNatsDoor(
  kernel: Kernel,
  auth: Authenticator,
  findServer: FindNatsServer,
): Promise<NatsDoors | undefined> {
  const { nats } = kernel.config;
  if (nats === "") return undefined;
  const [, port] = /^embedded(?::(\d+))?$/.exec(nats) ?? [];
  return nats.startsWith("embedded")
    ? openEmbedded(kernel, auth, { findServer, port: Number(port ?? 0) })
    : openGiven(kernel, auth, withoutUser(nats));
}

interface Embedded {
  readonly findServer: FindNatsServer;
  /** 0: the one of the last time, or any. */
  readonly port: number;
}

async function openEmbedded(
  kernel: Kernel,
  auth: Authenticator,
  { findServer, port }: Embedded,
): Promise<NatsDoors> {
  const { clock, log, random, config } = kernel;
  const { startNatsServer } = await import("../nats/server.js");
  const { openAccounts } = await import("../nats/accounts.js");
  const { NatsDoor } = await import("./nats.js");
  const directory = join(config.home, "nats");
  const accounts = openAccounts(directory, random);
  const binary = await findServer((source) => log.info({ source }, "looking for a nats-server"));
  // The port of the last time, so that agents that outlive a daemon find the next.
  const remembered = join(directory, "port");
  const last = existsSync(remembered) ? Number(readFileSync(remembered, "utf8")) || 0 : 0;
  const { settings } = accounts;
  const wanted = port || last;
  const server = await startNatsServer({ binary, directory, settings, port: wanted, clock, log });
  try {
    if (port !== 0 && server.port !== port) {
      throw new ContixError("EADDRINUSE", `port ${port} of 127.0.0.1 is taken; choose another`);
    }
    writeFileSync(remembered, `${server.port}\n`, { mode: 0o600 });
    const { url } = server;
    const door = await NatsDoor.open(kernel, auth, { url, accounts });
    const close = async (): Promise<void> => {
      await door.close();
      await server.stop();
    };
    return { url, door, head: (line) => door.head(line), close };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** A server that is down at boot does not keep the daemon down: it is tried until it is there. */
async function openGiven(kernel: Kernel, auth: Authenticator, url: string): Promise<NatsDoors> {
  const { clock, log, random, config } = kernel;
  const { openAccounts } = await import("../nats/accounts.js");
  const { NatsDoor } = await import("./nats.js");
  const accounts = openAccounts(join(config.home, "nats"), random);
  const ca = config.natsCa === "" ? "" : readCa(config.natsCa);
  let door: NatsDoor | undefined;
  let head: string | undefined;
  let closed = false;
  let cancel = (): void => {};
  const again = (): void => {
    cancel = clock.after(RETRY_US, () => {
      attempt().catch((error: Error) => {
        log.debug({ err: error.message }, "NATS");
        if (!closed) again();
      });
    });
  };
  const attempt = async (): Promise<void> => {
    const opened = await NatsDoor.open(kernel, auth, { url, ca, accounts });
    if (closed) return opened.close();
    door = opened;
    if (head !== undefined) door.head(head);
  };
  try {
    await attempt();
  } catch (error) {
    if (!(error instanceof ContixError) || error.code === "EACCES") throw error;
    log.warn({ err: error.message }, "NATS is not there; it is tried again");
    again();
  }
  return {
    url: NODE === 1 ? url : `${url}/n${NODE}`,
    get door() {
      return door;
    },
    head(line) {
      head = line;
      door?.head(line);
    },
    async close() {
      closed = true;
      cancel();
      await door?.close();
    },
  };
}

/** EINVAL: what is wrong now will not be right at the next try. */
function readCa(path: string): string {
  try {
    const pem = readFileSync(path, "utf8");
    new X509Certificate(pem);
    return pem;
  } catch (error) {
    throw new ContixError("EINVAL", `natsCa: ${path}: ${(error as Error).message}`);
  }
}

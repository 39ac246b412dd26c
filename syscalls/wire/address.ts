/** Where the daemon listens, and with which token to attach. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { ConnectionError } from "../errors.js";

/** What TLS needs: PEM text, or the path of a PEM file. */
export interface Tls {
  /** Who signed the kernel's certificate; by default what Node trusts. */
  readonly ca?: string | undefined;
  /** The client's own certificate and key, for mutual TLS. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface Endpoint {
  /**
   * `unix:///path`, `grpc://host:port`, `grpcs://host:port` or `nats://host:port`; for NATS
   * that demands TLS also `tls://host:port`, and `/n2` behind either for the kernel of a node.
   */
  readonly address: string;
  readonly token: string;
  readonly tls: Tls;
}

interface Wanted extends Tls {
  readonly address?: string | undefined;
  readonly token?: string | undefined;
  readonly home?: string | undefined;
}

/** Nobody is there, and the way out: a daemon of this machine can be started, another can not. */
export function noDaemon(address: string, options?: ErrorOptions): ConnectionError {
  const why = options?.cause instanceof Error ? ` (${options.cause.message})` : "";
  const message = address.startsWith("unix:")
    ? `no daemon at ${address}: start one with \`contix up\``
    : `no daemon at ${address}${why}: check the address, and that its daemon runs`;
  return new ConnectionError(address, message, options);
}

/**
 * The endpoint that `wanted` and the environment name. What the caller says
 * wins over the environment, and an address wins over a home; without either
 * it is the daemon of `~/.contix`. A token that nobody gave is the admin token
 * of the home, which only its owner can read.
 */
export async function findEndpoint(
  wanted: Wanted,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Endpoint> {
  const home = resolve(wanted.home ?? (env.CONTIX_HOME || join(homedir(), ".contix")));
  const said = wanted.home === undefined ? env : {};
  const named = wanted.address ?? said.CONTIX_ADDRESS;
  const address = named || `unix://${join(home, "contixd.sock")}`;
  const token = wanted.token ?? said.CONTIX_TOKEN;
  const tls = {
    ca: wanted.ca ?? (said.CONTIX_CA || undefined),
    cert: wanted.cert ?? (said.CONTIX_CERT || undefined),
    key: wanted.key ?? (said.CONTIX_KEY || undefined),
  };
  return { address, token: token || (await adminToken(home, address, !named)), tls };
}

/** The door that an address is of. */
export function doorOf(address: string): "unix" | "grpc" | "grpcs" | "nats" {
  const [, door] = /^(unix|grpcs?|nats|tls):\/\//.exec(address) ?? [];
  if (door === "tls") return "nats";
  if (door === "unix" || door === "grpc" || door === "grpcs" || door === "nats") return door;
  throw badAddress(address);
}

/** The certificates themselves. ConnectionError when a file can not be read. */
export async function readTls(
  address: string,
  tls: Tls,
): Promise<{ ca?: Buffer; cert?: Buffer; key?: Buffer }> {
  const out: { ca?: Buffer; cert?: Buffer; key?: Buffer } = {};
  for (const name of ["ca", "cert", "key"] as const) {
    const given = tls[name];
    if (given === undefined) continue;
    try {
      out[name] = given.includes("-----BEGIN") ? Buffer.from(given) : await readFile(given);
    } catch (cause) {
      throw new ConnectionError(address, `${name}: ${(cause as Error).message}`, { cause });
    }
  }
  return out;
}

async function adminToken(home: string, address: string, atHome: boolean): Promise<string> {
  try {
    return (await readFile(join(home, "admin.token"), "utf8")).trim();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" && atHome) throw noDaemon(address);
    throw new ConnectionError(address, `no token for ${address} (set CONTIX_TOKEN): ${message}`, {
      cause,
    });
  }
}

/** The grpc-js target of an address. */
export function grpcTarget(address: string): string {
  if (/^unix:\/\/\/./.test(address)) return address;
  const tcp = /^grpcs?:\/\/((?:\[[^\]]+\]|[^/:]+):\d+)\/?$/.exec(address);
  if (tcp?.[1] === undefined) throw badAddress(address);
  return tcp[1];
}

/** The server's URL in a NATS address, and the node that it names; "": none. */
export function natsTarget(address: string): { readonly server: string; readonly node: string } {
  const [, server, node = ""] =
    /^((?:nats|tls):\/\/[^/]+)(?:\/(n\d{1,4}))?\/?$/.exec(address) ?? [];
  if (server === undefined) throw badAddress(address);
  return { server, node };
}

function badAddress(address: string): TypeError {
  return new TypeError(
    `address: expected unix:///path or grpc://host:port (or grpcs:, nats:), got ${JSON.stringify(address)}`,
  );
}

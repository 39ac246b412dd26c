/** Where the daemon listens, and with which token to attach. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { ConnectionError } from "../errors.js";

export interface Endpoint {
  /** `unix:///path` or `grpc://host:port`. */
  readonly address: string;
  readonly token: string;
}

interface Wanted {
  readonly address?: string | undefined;
  readonly token?: string | undefined;
  readonly home?: string | undefined;
}

/** What every lost-daemon message ends with: the way out. */
export function noDaemon(address: string, options?: ErrorOptions): ConnectionError {
  const message = `no daemon at ${address}: start one with \`contix up\``;
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
  return { address, token: token || (await adminToken(home, address, !named)) };
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
  const tcp = /^grpc:\/\/((?:\[[^\]]+\]|[^/:]+):\d+)\/?$/.exec(address);
  if (tcp?.[1] === undefined) {
    throw new TypeError(
      `address: expected unix:///path or grpc://host:port, got ${JSON.stringify(address)}`,
    );
  }
  return tcp[1];
}

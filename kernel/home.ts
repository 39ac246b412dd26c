/**
 * The daemon's home: a 0700 directory with its socket, its admin token, its logs,
 * and one daemon at a time.
 */
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createConnection, createServer, type Server } from "node:net";
import { join } from "node:path";
import { ContixError } from "../proto/errno.js";
import { type Randomness, secret } from "./clock.js";

export interface Home {
  readonly path: string;
  readonly socket: string;
  readonly adminToken: string;
  /** Tells clients that the daemon is ready, and where. */
  announce(facts: object): void;
  /** Takes back everything that says a daemon is here. */
  release(): void;
}

/** Unix socket paths are at most this long. */
const SOCKET_PATH_MAX = 107;

/** Opens the home for this process alone. EEXIST when another daemon has it. */
export async function openHome(path: string, random: Randomness): Promise<Home> {
  const socket = join(path, "contixd.sock");
  if (Buffer.byteLength(socket) > SOCKET_PATH_MAX) {
    throw new ContixError(
      "EINVAL",
      `the path ${socket} is longer than ${SOCKET_PATH_MAX} bytes; choose a shorter home`,
    );
  }
  makePrivate(path);
  const lock = await takeLock(path, socket);
  const facts = join(path, "contixd.json");
  let token: string;
  try {
    rmSync(socket, { force: true });
    rmSync(facts, { force: true });
    token = adminToken(join(path, "admin.token"), random);
  } catch (error) {
    lock.close();
    throw new ContixError("EIO", `cannot write to the home ${path}: ${(error as Error).message}`);
  }
  return {
    path,
    socket,
    adminToken: token,
    announce(what) {
      // Readers see the whole file or none.
      writeFileSync(`${facts}.new`, `${JSON.stringify(what, null, 2)}\n`, { mode: 0o600 });
      renameSync(`${facts}.new`, facts);
    },
    release() {
      rmSync(facts, { force: true });
      rmSync(socket, { force: true });
      lock.close();
    },
  };
}

/** What a home may hold before it is closed to others. */
const OURS = new Set([
  ...[
    "admin.token",
    "config.yaml",
    "admin.token.new",
    "principals.json",
    "principals.json.new",
    "contixd.json",
    "contixd.json.new",
  ],
  ...["contixd.sock", "audit", "logs", "models", "swap", "bin", "nats", "lost+found"],
]);

/** Makes the home, or closes an open one to others: but never a directory that is somebody else's. */
function makePrivate(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const { mode } = statSync(path);
    if ((mode & 0o077) !== 0) {
      const stranger = readdirSync(path).find((name) => !OURS.has(name));
      if (stranger !== undefined) {
        const what = `others may enter ${path}, and it holds more than a home (${stranger})`;
        throw new ContixError("EPERM", `${what}; choose another home, or \`chmod 700\` it`);
      }
      chmodSync(path, 0o700);
    }
    mkdirSync(join(path, "logs"), { recursive: true, mode: 0o700 });
  } catch (error) {
    if (error instanceof ContixError) throw error;
    throw new ContixError("EIO", `cannot use ${path} as home: ${(error as Error).message}`);
  }
}

/**
 * The lock is a listening socket in Linux's abstract namespace: taken atomically,
 * and gone with the process however it dies. Elsewhere, and across network
 * namespaces, an answering contixd.sock says that the home is taken.
 */
async function takeLock(path: string, socket: string): Promise<Server> {
  const taken = (): ContixError =>
    new ContixError("EEXIST", `another daemon runs on ${path}; stop it with \`contix down\``);
  if (existsSync(socket) && (await answers(socket))) throw taken();
  const name = createHash("sha256").update(realpathSync(path)).digest("hex").slice(0, 32);
  const server = createServer((connection) => connection.destroy());
  if (process.platform !== "linux") return server;
  return new Promise((resolve, reject) => {
    server.once("error", () => reject(taken()));
    server.listen(`\0contix-${name}`, () => {
      server.unref();
      resolve(server);
    });
  });
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(socket);
    connection.once("connect", () => {
      connection.destroy();
      resolve(true);
    });
    connection.once("error", () => resolve(false));
  });
}

function adminToken(path: string, random: Randomness): string {
  if (existsSync(path)) {
    const token = readFileSync(path, "utf8").trim();
    if (token.length >= 32) return token;
  }
  const token = secret(random);
  // Whole or not at all: half a token would be good for the next daemon.
  rmSync(`${path}.new`, { force: true });
  writeFileSync(`${path}.new`, `${token}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return token;
}

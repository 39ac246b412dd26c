/**
 * A private nats-server on loopback: started with a generated configuration that
 * only we can read, started again when it ends, on the same port so that its
 * clients find it, and ended with the daemon.
 */
import type { ChildProcess } from "node:child_process";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ContixError } from "../../proto/errno.js";
import type { Clock } from "../clock.js";
import type { Log } from "../log.js";
import { endStale, spawnGuarded } from "./guard.js";

export interface NatsServerOptions {
  /** The executable. */
  readonly binary: string;
  /** Its own directory, made 0700: configuration and pid file. */
  readonly directory: string;
  /** Further configuration: accounts, permissions, limits. */
  readonly settings: string;
  /** The port to try first; 0: any. */
  readonly port?: number;
  readonly clock: Clock;
  readonly log: Log;
}

export interface NatsServer {
  /** `nats://127.0.0.1:PORT`, the same after a restart. */
  readonly url: string;
  readonly port: number;
  /** The process that is to be killed in tests; 0 while it is down. */
  readonly osPid: number;
  /** Times it was started again. */
  readonly restarts: number;
  stop(): Promise<void>;
}

const FIRST_BACKOFF_US = 100_000;
const LONGEST_BACKOFF_US = 5_000_000;
/** One that lived for so long starts over with the shortest wait. */
const STEADY_US = 10_000_000;
const START_US = 15_000_000;

/** Starts the server and waits until it listens. EIO with its last words when it does not. */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const server = new Supervised(options);
  try {
    await server.start(options.port ?? 0);
  } catch (error) {
    if (!options.port) throw error;
    // Somebody else has the port of the last time.
    await server.start(0);
  }
  return server;
}

/** One life of the server's process. */
interface Life {
  readonly child: ChildProcess;
  /** The port and pid once it is ready; rejects when it ends before. */
  readonly ready: Promise<{ port: number; pid: number }>;
  readonly gone: Promise<void>;
}

class Supervised implements NatsServer {
  readonly #options: NatsServerOptions;
  #port = 0;
  #osPid = 0;
  #life: Life | undefined;
  #stopped = false;
  #backoff = FIRST_BACKOFF_US;
  #cancelRestart = (): void => {};
  restarts = 0;

  constructor(options: NatsServerOptions) {
    this.#options = options;
  }

  get port(): number {
    return this.#port;
  }
  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }
  get osPid(): number {
    return this.#osPid;
  }

  /** Resolves when it listens, and watches it from then on. */
  async start(port: number): Promise<void> {
    const { clock } = this.#options;
    const life = launch(this.#options, port);
    this.#life = life;
    const facts = await life.ready;
    this.#port = facts.port;
    this.#osPid = facts.pid;
    const since = clock.now();
    void life.gone.then(() => {
      this.#osPid = 0;
      if (this.#stopped) return;
      if (clock.now() - since >= STEADY_US) this.#backoff = FIRST_BACKOFF_US;
      this.#again();
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRestart();
    this.#life?.child.stdin?.end();
    await this.#life?.gone;
  }

  #again(): void {
    const { clock, log } = this.#options;
    const wait = this.#backoff;
    this.#backoff = Math.min(wait * 2, LONGEST_BACKOFF_US);
    log.warn({ inMs: wait / 1000 }, "nats-server ended; it is started again");
    this.#cancelRestart = clock.after(wait, () => {
      this.restarts++;
      this.start(this.#port).catch((error: unknown) => {
        log.error({ err: error }, "nats-server did not start again");
        if (!this.#stopped) this.#again();
      });
    });
  }
}

function launch(options: NatsServerOptions, port: number): Life {
  const { binary, directory, log, clock } = options;
  const config = join(directory, "server.conf");
  const pidFile = join(directory, "server.pid");
  if (endStale(pidFile, config))
    log.warn({}, "ended a nats-server that its daemon had left behind");
  writePrivately(config, configuration(options, port, pidFile));
  const child = spawnGuarded(binary, ["--config", config]);
  child.stdin?.on("error", () => undefined);
  const gone = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.once("error", () => resolve());
  });
  const ready = new Promise<{ port: number; pid: number }>((resolve, reject) => {
    let bound = 0;
    let pid = 0;
    let last = "it said nothing";
    const cancel = clock.after(START_US, () => {
      child.stdin?.end();
      last = `not ready after ${START_US / 1e6} s: ${last}`;
    });
    const hear = (line: string): void => {
      if (/\[(FTL|ERR)\]|nats-server:/.test(line)) last = line;
      log.debug({ line }, "nats-server");
      pid = Number(/^\[(\d+)\]/.exec(line)?.[1] ?? pid);
      bound = Number(/client connections on \S+:(\d+)/.exec(line)?.[1] ?? bound);
      if (!line.includes("Server is ready")) return;
      cancel();
      resolve({ port: bound, pid });
    };
    lines(child, hear);
    void gone.then(() => {
      cancel();
      reject(new ContixError("EIO", `nats-server did not start: ${last}`));
    });
  });
  return { child, ready, gone };
}

function configuration(options: NatsServerOptions, port: number, pidFile: string): string {
  const own = [
    "# Written by contixd at each start.",
    `server_name: ${JSON.stringify(`contix-${process.pid}`)}`,
    `listen: "127.0.0.1:${port === 0 ? -1 : port}"`,
    `pid_file: ${JSON.stringify(pidFile)}`,
  ];
  return `${own.join("\n")}\n${options.settings}\n`;
}

/** Whole or not at all, and for nobody else's eyes: there are passwords in it. */
function writePrivately(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Each line of the child's output. */
function lines(child: ChildProcess, hear: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    let rest = "";
    stream?.setEncoding("utf8").on("data", (text: string) => {
      const all = (rest + text).split("\n");
      rest = all.pop() ?? "";
      for (const line of all) hear(line);
    });
  }
}

/**
 * The gateway of a daemon: a process of its own that is a client of the kernel. It is started
 * before the daemon says that it is ready, again whenever it dies, and ended with it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { z } from "zod";
import { GATEWAY_NICE, giveWay } from "../kernel/proc/priority.js";
import { CliError } from "./errors.js";
import { packagePath } from "./package.js";

export interface GatewayProcessOptions {
  /** Arguments of `contix gateway`. */
  readonly flags: readonly string[];
  /** It has TLS certificates. */
  readonly tls: boolean;
  /** How long it may take to end before it is killed, milliseconds. */
  readonly drainMs: number;
}

export interface GatewayProcess {
  /** Where it listens. */
  readonly address: string;
  /** Has it read its certificates again. */
  reload(): void;
  /** Lets it end what it is answering. */
  stop(): Promise<void>;
}

/** What it says over the IPC channel: see servers/gateway/run.ts. */
const Word = z.union([z.object({ listening: z.string() }), z.object({ failed: z.string() })]);

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** Beyond its own drain time. */
const GRACE_MS = 2_000;

/** Starts the gateway and watches over it. Rejects when it does not come to listen. */
export async function startGatewayProcess(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const keeper = new Keeper(options);
  const address = await keeper.start();
  return { address, reload: () => keeper.reload(), stop: () => keeper.stop() };
}

class Keeper {
  readonly #options: GatewayProcessOptions;
  #child: ChildProcess | undefined;
  #over: Promise<void> = Promise.resolve();
  #again: NodeJS.Timeout | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #stopping = false;

  constructor(options: GatewayProcessOptions) {
    this.#options = options;
  }

  /** Resolves with its address once it listens; from then on it is started again when it dies. */
  start(): Promise<string> {
    const args = [packagePath("dist", "cli", "contix.js"), "gateway", ...this.#options.flags];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#child = child;
    // What strangers send to it is not to cost the kernel's own callers their turn.
    if (child.pid !== undefined) giveWay(child.pid, GATEWAY_NICE);
    return new Promise((resolve, reject) => {
      let listens = false;
      child.on("message", (message) => {
        const word = Word.safeParse(message).data;
        if (word === undefined) return;
        if ("failed" in word) {
          reject(new CliError(`the gateway: ${word.failed}`));
          return;
        }
        listens = true;
        this.#pauseMs = FIRST_PAUSE_MS;
        resolve(word.listening);
      });
      this.#over = new Promise((over) => {
        const gone = (how: string): void => {
          over();
          if (!listens) reject(new CliError(`the gateway did not start: ${how}`));
          else if (!this.#stopping) this.#startAgain();
        };
        child.once("error", (error) => gone(error.message));
        child.once("exit", (code, signal) => gone(signal ?? `exit code ${code}`));
      });
    });
  }

  reload(): void {
    // One that has none is ended by a HUP, as any program is.
    if (this.#options.tls) this.#child?.kill("SIGHUP");
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#again);
    const child = this.#child;
    child?.kill("SIGTERM");
    const late = setTimeout(() => child?.kill("SIGKILL"), this.#options.drainMs + GRACE_MS);
    await this.#over;
    clearTimeout(late);
  }

  #startAgain(): void {
    if (this.#stopping) return;
    this.#again = setTimeout(() => {
      this.start().catch(() => this.#startAgain());
    }, this.#pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
  }
}

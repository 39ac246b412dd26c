/** A daemon of our own: a private home, no settings but ours. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isServing } from "../../cli/health.js";
import { inCheckout } from "./root.js";
import { withTimeout } from "./wait.js";

export interface Daemon extends AsyncDisposable {
  readonly home: string;
  readonly pid: number;
  /** From the start of the process to the first SERVING, milliseconds. */
  readonly readyMs: number;
  /** Ends it and gives its exit code; a second call gives it again. */
  stop(): Promise<number | null>;
}

/** How often readiness is asked for, and so the resolution of `readyMs`. */
const POLL_MS = 5;

/**
 * Starts `contixd` with these flags on a fresh home, and waits until it serves. Its log goes to
 * our standard error.
 * @param settings added to its environment
 * @throws Error when it ends or does not serve within a minute
 */
export async function startDaemon(
  flags: readonly string[],
  settings: Readonly<Record<string, string>> = {},
): Promise<Daemon> {
  const home = await mkdtemp(join(tmpdir(), "contix-bench-"));
  const entry = inCheckout("dist", "cli", "contixd.js");
  const started = performance.now();
  const child = spawn(process.execPath, [entry, "--home", home, "--log-level", "warn", ...flags], {
    env: { ...ownEnvironment(), ...settings },
    stdio: ["ignore", process.stderr, process.stderr],
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const stop = async (): Promise<number | null> => {
    child.kill("SIGTERM");
    await withTimeout(ended, 30_000, "the daemon's end").catch(() => child.kill("SIGKILL"));
    const code = await ended;
    await rm(home, { recursive: true, force: true });
    return code;
  };
  const gone = ended.then((code) => {
    throw new Error(`contixd ended with ${code} before it served`);
  });
  const polling = new AbortController();
  try {
    await withTimeout(Promise.race([serving(home, polling.signal), gone]), 60_000, "SERVING");
    const readyMs = performance.now() - started;
    const dispose = async (): Promise<void> => {
      await stop();
    };
    return { home, pid: child.pid ?? 0, readyMs, stop, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    polling.abort();
    gone.catch(() => {});
  }
}

async function serving(home: string, signal: AbortSignal): Promise<void> {
  const socket = join(home, "contixd.sock");
  while (!signal.aborted) {
    if (existsSync(socket) && (await isServing(`unix://${socket}`, 1000))) return;
    await sleep(POLL_MS);
  }
}

/** Our environment without settings of Contix, but for where the models are. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("CONTIX_") || name === "CONTIX_MODELS",
  );
  return Object.fromEntries(entries);
}

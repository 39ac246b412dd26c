/** Starts and stops a contixd in the background. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CliError } from "./errors.js";
import { isServing } from "./health.js";
import { type DaemonRecord, daemonLog, isAlive, readRecord, runningDaemon } from "./home.js";
import { packagePath } from "./package.js";

const POLL_MS = 50;
/** How long a daemon that has the home already may take to be ready. */
const RIVAL_MS = 30_000;

export interface StartOptions {
  readonly home: string;
  /** Flags for contixd, besides `--home`. */
  readonly flags: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Called with the new process as soon as there is one, so that a caller can end it. */
  readonly onSpawn?: ((pid: number) => void) | undefined;
}

export interface Started {
  readonly record: DaemonRecord;
  /** False when a daemon was there already. */
  readonly fresh: boolean;
}

/**
 * Makes sure that a daemon runs on the home and is ready. It gets a session of its own, so the
 * terminal's Ctrl-C and hang-up do not reach it.
 *
 * @throws CliError with the daemon's own last words when it ends before it is ready.
 */
export async function startDaemon(options: StartOptions): Promise<Started> {
  const found = await runningDaemon(options.home);
  if (found !== undefined) return { record: found, fresh: false };
  const log = daemonLog(options.home);
  await makeHome(options.home, log);
  const offset = await sizeOf(log);
  const child = await launch(options, log);
  try {
    return await untilReady(options, child, log, offset);
  } catch (error) {
    child.kill("SIGTERM");
    throw error;
  } finally {
    child.unref();
  }
}

/** Only its owner may enter it. The daemon's first words need a place before it runs. */
async function makeHome(home: string, log: string): Promise<void> {
  try {
    await mkdir(home, { recursive: true, mode: 0o700 });
    await mkdir(dirname(log), { recursive: true });
  } catch (cause) {
    const why = (cause as Error).message;
    const message = `the home ${home} cannot be made: ${why}; choose another with --home`;
    throw new CliError(message, undefined, { cause });
  }
}

async function launch(options: StartOptions, log: string): Promise<ChildProcess> {
  const file = await open(log, "a", 0o600);
  try {
    const child = spawn(
      process.execPath,
      [contixdProgram(), "--home", options.home, ...options.flags],
      {
        detached: true,
        stdio: ["ignore", file.fd, file.fd],
        env: options.env,
      },
    );
    if (child.pid !== undefined) options.onSpawn?.(child.pid);
    return child;
  } finally {
    await file.close();
  }
}

async function untilReady(
  options: StartOptions,
  child: ChildProcess,
  log: string,
  offset: number,
): Promise<Started> {
  const failed = new Promise<Error>((resolve) => child.once("error", resolve));
  const started = performance.now();
  while (performance.now() - started < options.timeoutMs) {
    options.signal.throwIfAborted();
    const record = await readRecord(options.home);
    if (
      record !== undefined &&
      record.pid === child.pid &&
      (await isServing(record.address, 2_000))
    )
      return { record, fresh: true };
    const error = await Promise.race([failed, sleep(POLL_MS)]);
    if (error instanceof Error) throw new CliError(`cannot start contixd: ${error.message}`);
    if (child.exitCode === null && child.signalCode === null) continue;
    const words = await lastWords(log, offset, child);
    const other = words.includes("another daemon") ? await otherDaemon(options) : undefined;
    if (other === undefined) throw new CliError(`the daemon did not start: ${words}`);
    return { record: other, fresh: false };
  }
  const seconds = Math.round(options.timeoutMs / 1000);
  throw new CliError(`the daemon was not ready after ${seconds} s: see ${log}`);
}

/** Somebody else's `contix up` has won the race for the home: their daemon will do. */
async function otherDaemon({ home, signal }: StartOptions): Promise<DaemonRecord | undefined> {
  const started = performance.now();
  while (performance.now() - started < RIVAL_MS) {
    signal.throwIfAborted();
    const record = await runningDaemon(home);
    if (record !== undefined && (await isServing(record.address, 2_000))) return record;
    await sleep(POLL_MS);
  }
  return undefined;
}

/** The daemon's clear line on stderr; all else in its log is JSON. */
async function lastWords(log: string, offset: number, child: ChildProcess): Promise<string> {
  const text = (await readFile(log)).subarray(offset).toString("utf8");
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("{"));
  const clear = lines.find((line) => line.startsWith("contixd:")) ?? lines.at(-1);
  if (clear !== undefined) return clear.replace(/^contixd: /, "");
  return `it ended with ${child.signalCode ?? `code ${child.exitCode}`}: see ${log}`;
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    (s) => s.size,
    () => 0,
  );
}

/** The compiled contixd of this package. */
function contixdProgram(): string {
  return packagePath("dist", "cli", "contixd.js");
}

export interface StopOptions {
  readonly timeoutMs: number;
  /** After the timeout: SIGKILL, instead of an error. */
  readonly force: boolean;
}

/**
 * Asks a daemon to drain and end, and waits until it has.
 *
 * @returns how it ended.
 */
export async function stopDaemon(
  home: string,
  record: DaemonRecord,
  options: StopOptions,
): Promise<"ended" | "killed"> {
  signalProcess(record.pid, "SIGTERM");
  if (await ends(record.pid, options.timeoutMs)) return "ended";
  if (!options.force) {
    const seconds = Math.round(options.timeoutMs / 1000);
    throw new CliError(
      `contixd (process ${record.pid}) has not ended after ${seconds} s: end it with \`contix down --force\``,
    );
  }
  signalProcess(record.pid, "SIGKILL");
  await ends(record.pid, 5_000);
  await rm(join(home, "contixd.json"), { force: true });
  return "killed";
}

/** Waits for a process's end; false after `timeoutMs`. */
export async function ends(pid: number, timeoutMs: number): Promise<boolean> {
  const started = performance.now();
  while (isAlive(pid)) {
    if (performance.now() - started >= timeoutMs) return false;
    await sleep(POLL_MS);
  }
  return true;
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EPERM") throw new CliError(`process ${pid} is another user's: ask them`);
    if (code !== "ESRCH") throw error;
  }
}

/**
 * A kernel for tests of agents: `import { startTestKernel } from "contix/testing"`.
 * It is the real daemon, private and on a home of its own, with a driver that
 * makes text up from a seed: no model, no download, the same text every time.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type ConnectOptions, connect, type Os } from "./connect.js";

export interface TestKernelOptions {
  /** The text is a function of this and the prompt; 1 by default. */
  readonly seed?: number | undefined;
  /** What a step of the model costs, microseconds, and what each of its tokens adds; 0 by default. */
  readonly stepUs?: number | undefined;
  readonly tokenUs?: number | undefined;
  /** Contexts that run at once. */
  readonly slots?: number | undefined;
  /** The window, tokens. */
  readonly slotTokens?: number | undefined;
  /** Generations admitted beyond the slots; more are EAGAIN. */
  readonly queueLimit?: number | undefined;
  /** Further flags of `contixd`. */
  readonly flags?: readonly string[] | undefined;
}

/** A running kernel. It ends with `stop()`, or with the program that started it. */
export interface TestKernel extends AsyncDisposable {
  readonly address: string;
  readonly token: string;
  readonly home: string;
  /** The daemon's pid, for tests that kill it. */
  readonly pid: number;
  /** What a program started by hand needs in its environment to attach. */
  readonly env: { readonly CONTIX_ADDRESS: string; readonly CONTIX_TOKEN: string };
  connect(options?: ConnectOptions): Promise<Os>;
  stop(): Promise<void>;
}

/** How long the daemon may take to be ready, or to end, milliseconds. */
const START_MS = 30_000;
const STOP_MS = 5_000;

/**
 * Starts a kernel and waits until it is ready.
 *
 * @example
 * await using kernel = await startTestKernel({ seed: 7 });
 * await using os = await kernel.connect();
 * assert.equal(await myAgent(os), "what it says with seed 7");
 */
export async function startTestKernel(options: TestKernelOptions = {}): Promise<TestKernel> {
  const home = await mkdtemp(join(tmpdir(), "contix-test-"));
  const daemon = startDaemon(home, options);
  try {
    await ready(daemon, home);
  } catch (error) {
    await stop(daemon, home);
    throw error;
  }
  const address = `unix://${join(home, "contixd.sock")}`;
  const token = (await readFile(join(home, "admin.token"), "utf8")).trim();
  return {
    address,
    token,
    home,
    pid: daemon.process.pid ?? 0,
    env: { CONTIX_ADDRESS: address, CONTIX_TOKEN: token },
    connect: async (more) => {
      const os = await connect({ address, token, ...more });
      // A test outlives its kernel: the TERM that a stopping kernel sends must not end the runner.
      os.on("TERM", () => undefined);
      return os;
    },
    stop: () => stop(daemon, home),
    [Symbol.asyncDispose]: () => stop(daemon, home),
  };
}

interface Daemon {
  readonly process: ChildProcess;
  readonly ended: Promise<void>;
  /** The last it said on stderr. */
  said(): string;
}

function startDaemon(home: string, options: TestKernelOptions): Daemon {
  const { root, contixd } = findPackage();
  const guard = join(root, "dist/syscalls/testing-guard.js");
  const child = spawn(process.execPath, ["--import", guard, contixd, ...toFlags(options)], {
    env: { ...ordinary(process.env), CONTIX_HOME: home },
    stdio: ["pipe", "ignore", "pipe"],
  });
  let said = "";
  child.stderr?.on("data", (bytes) => {
    said = (said + bytes).slice(-4000);
  });
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.once("error", () => resolve());
  });
  // The daemon ends with this program; it must not keep the program from ending.
  child.unref();
  for (const pipe of [child.stdin, child.stderr]) (pipe as { unref?(): void } | null)?.unref?.();
  return { process: child, ended, said: () => said.trim() };
}

function toFlags(options: TestKernelOptions): string[] {
  const { seed = 1, stepUs = 0, tokenUs = 0, slots, slotTokens, queueLimit } = options;
  const numbers = { "--slots": slots, "--slot-tokens": slotTokens, "--queue-limit": queueLimit };
  const driverOptions = JSON.stringify({ seed, stepUs, tokenUs });
  return [
    ...["--driver", "fake", "--driver-options", driverOptions, "--drain-ms", "0"],
    ...Object.entries(numbers).flatMap(([flag, n]) => (n === undefined ? [] : [flag, String(n)])),
    ...(options.flags ?? []),
  ];
}

/** The environment without the settings of the user's own daemon; where models are is none. */
function ordinary(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const names = Object.entries(env);
  return Object.fromEntries(
    names.filter(([name]) => !name.startsWith("CONTIX_") || name === "CONTIX_MODELS"),
  );
}

/** This package's root, and its daemon as its package.json names it. */
function findPackage(): { root: string; contixd: string } {
  let root = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(root, "package.json"))) root = dirname(root);
  const { bin } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return { root, contixd: join(root, bin.contixd) };
}

async function ready(daemon: Daemon, home: string): Promise<void> {
  const late = Date.now() + START_MS;
  let over = false;
  void daemon.ended.then(() => {
    over = true;
  });
  while (!existsSync(join(home, "contixd.json"))) {
    if (over) throw new Error(`the test kernel did not start: ${daemon.said()}`);
    if (Date.now() > late) throw new Error(`the test kernel was not ready within ${START_MS} ms`);
    await delay(10);
  }
}

async function stop(daemon: Daemon, home: string): Promise<void> {
  daemon.process.ref();
  daemon.process.kill("SIGTERM");
  const force = setTimeout(() => daemon.process.kill("SIGKILL"), STOP_MS);
  await daemon.ended;
  clearTimeout(force);
  await rm(home, { recursive: true, force: true });
}

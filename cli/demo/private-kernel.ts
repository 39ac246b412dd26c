/** A daemon for one command alone: on a temporary home, gone with everything at the end. */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConfigInput } from "../../kernel/config.js";
import { connect, type Os } from "../../syscalls/index.js";
import { bringUp } from "../bring-up.js";
import { ends } from "../daemon.js";

const STOP_MS = 8_000;

export interface PrivateKernel {
  /** Its home, where the command may keep files of its own. */
  readonly home: string;
  readonly os: Os;
  /** Ends the daemon with its driver and agents, and removes the home. */
  stop(): Promise<void>;
}

/**
 * Starts it. Whatever happens afterwards, the process's exit included, takes it away again.
 *
 * @param settings of the configuration; those of the user's own daemon do not count here.
 */
export async function startPrivateKernel(
  settings: ConfigInput,
  signal: AbortSignal,
  quiet: boolean,
): Promise<PrivateKernel> {
  const home = await mkdtemp(join(tmpdir(), "contix-demo-"));
  let daemon: number | undefined;
  // The last resort, for a second Ctrl-C: nothing can be awaited here.
  const atExit = (): void => {
    signalGroup(daemon, "SIGKILL");
    rmSync(home, { recursive: true, force: true });
  };
  process.on("exit", atExit);
  const sweep = async (): Promise<void> => {
    signalGroup(daemon, "SIGTERM");
    if (daemon !== undefined && !(await ends(daemon, STOP_MS))) signalGroup(daemon, "SIGKILL");
    rmSync(home, { recursive: true, force: true });
    process.off("exit", atExit);
  };
  try {
    await bringUp({
      home,
      settings: { ...settings, drainMs: 0 },
      env: withoutSettings(process.env),
      signal,
      quiet,
      onSpawn: (pid) => {
        daemon = pid;
      },
    });
    const os = await connect({ home, name: "contix demo" });
    return { home, os, stop: () => os.close().then(sweep) };
  } catch (error) {
    await sweep();
    throw error;
  }
}

/** Where the models are counts; how the user's own daemon is set up does not. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const entries = Object.entries(env);
  return Object.fromEntries(
    entries.filter(([name]) => !name.startsWith("CONTIX_") || name === "CONTIX_MODELS"),
  );
}

/** The daemon leads a process group, in which its driver is too. */
function signalGroup(daemon: number | undefined, signal: NodeJS.Signals): void {
  if (daemon === undefined) return;
  try {
    // Only the daemon is asked: it ends its driver in order. Force is for all.
    process.kill(signal === "SIGKILL" ? -daemon : daemon, signal);
  } catch {
    // It is gone, which is what was wanted.
  }
}

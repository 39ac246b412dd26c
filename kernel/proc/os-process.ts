/** The OS process of a spawned agent: its start, its log, its signals, its end. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { dirname } from "node:path";
import { ContixError, type Errno } from "../../proto/errno.js";

/** Agents run nicer than the driver: a busy neighbour costs the engine's two-thread barriers most. */
const AGENT_NICE = 10;
const START_ERRNO: Readonly<Record<string, Errno>> = {
  EACCES: "EPERM",
  E2BIG: "E2BIG",
  ERR_INVALID_ARG_VALUE: "EINVAL",
};
/** What an agent inherits of the daemon's environment. */
const INHERITED = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "SHELL", "NODE_PATH"];

export interface OsProcess {
  readonly osPid: number;
  readonly gone: Promise<void>;
  signal(signal: NodeJS.Signals): void;
}

export interface OsProcessSpec {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Where its stdout and stderr go. */
  readonly log: string;
}

/**
 * Starts the program in a process group of its own. Rejects with ENOENT, EPERM,
 * E2BIG or EINVAL when it cannot be started. `onExit` is called once, with its code and cause.
 */
export function startOsProcess(
  spec: OsProcessSpec,
  onExit: (code: number, cause: string) => void,
): Promise<OsProcess> {
  const [program = "", ...args] = spec.argv;
  mkdirSync(dirname(spec.log), { recursive: true, mode: 0o700 });
  // Pids begin anew with a daemon that forgot them: an older agent's log is not this one's.
  const log = openSync(spec.log, "w", 0o600);
  return new Promise((resolve, reject) => {
    let child: ChildProcess;
    try {
      child = spawn(program, args, {
        cwd: spec.cwd,
        env: { ...inherited(), ...spec.env },
        stdio: ["ignore", log, log],
        detached: true,
      });
    } catch (error) {
      // A zero byte in a string, or more of them than the system takes.
      reject(startError(error as NodeJS.ErrnoException, spec));
      return;
    } finally {
      closeSync(log);
    }
    child.once("error", (error: NodeJS.ErrnoException) => reject(startError(error, spec)));
    child.once("spawn", () => {
      const osPid = child.pid ?? 0;
      lowerPriority(osPid);
      const gone = new Promise<void>((end) => {
        child.once("exit", (code, signal) => {
          // What it left behind has no process any more that could be seen or ended.
          signalGroup(osPid, "SIGKILL");
          if (signal)
            onExit(128 + constants.signals[signal], `signal ${signal.replace("SIG", "")}`);
          else onExit(code ?? 0, "exit");
          end();
        });
      });
      resolve({ osPid, gone, signal: (name) => signalGroup(osPid, name) });
    });
  });
}

function inherited(): Record<string, string> {
  const out: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = process.env[name];
    if (value !== undefined) out[name] = value;
  }
  return out;
}

function startError(error: NodeJS.ErrnoException, spec: OsProcessSpec): ContixError {
  const [program] = spec.argv;
  if (error.code === "ENOENT") {
    const message = `cannot start "${program}" in ${spec.cwd}: no such program or directory`;
    return new ContixError("ENOENT", message, { argument: "argv" });
  }
  const message = `cannot start "${program?.slice(0, 256)}": ${error.message.slice(0, 256)}`;
  return new ContixError(START_ERRNO[error.code ?? ""] ?? "EIO", message, { argument: "argv" });
}

/**
 * Makes an agent give way to the driver. Where Linux groups processes by session,
 * a nice value counts within the agent's own session only, and the group has one too.
 */
function lowerPriority(osPid: number): void {
  try {
    setPriority(osPid, AGENT_NICE);
    writeFileSync(`/proc/${osPid}/autogroup`, String(AGENT_NICE));
  } catch {
    // It is already over, or this system has no such groups: nothing to lower.
  }
}

/** Signals the whole group, so that a program's own children go with it. */
function signalGroup(osPid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-osPid, signal);
  } catch {
    // The group is gone: what the signal wanted has happened.
  }
}

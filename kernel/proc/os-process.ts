/** The OS process of a spawned agent: its start, its output, its signals, its end. */
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { ContixError, type Errno } from "../../proto/errno.js";
import type { Program } from "../journal/fold-procs.js";
import type { Cgroup } from "./cgroups.js";
import { checkProgram, confined } from "./confine.js";
import type { Keeper } from "./keeper.js";
import type { LogFile } from "./log-file.js";
import type { Priorities } from "./priority.js";
import { MARK, type Stragglers } from "./stragglers.js";

/** What a program wrote before it ended is read within so long. */
const LAST_WORDS_MS = 1_000;
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

export interface OsProcessSpec extends Program {
  /** Where its stdout and stderr go. */
  readonly log: LogFile;
  readonly keeper: Keeper;
  /** Its control group; undefined: there are none on this machine, or not for us. */
  readonly cgroup?: Cgroup | undefined;
  /** Who finds, without such a group, what it leaves behind. */
  readonly stragglers: Stragglers;
  readonly priorities: Priorities;
}

/**
 * Starts the program in a process group of its own. Rejects with ENOENT, EPERM,
 * E2BIG or EINVAL when it cannot be started. `onExit` is called once, with its code and
 * cause, when its output is in the log.
 */
export async function startOsProcess(
  spec: OsProcessSpec,
  onExit: (code: number, cause: string) => void,
): Promise<OsProcess> {
  const { keeper, cgroup, stragglers, priorities } = spec;
  const mark = cgroup ? undefined : stragglers.mark();
  const env = { ...inherited(), ...spec.env };
  if (mark !== undefined) env[MARK] = mark;
  checkProgram(spec.argv[0] ?? "", env.PATH ?? "", spec.cwd);
  const child = await started(spec, env);
  const osPid = child.pid ?? 0;
  const written = child.stdout ? spec.log.take(child.stdout) : Promise.resolve();
  const gone = new Promise<void>((end) => {
    child.once("exit", (code, signal) => {
      // What it left behind has no process any more that could be seen or ended.
      signalGroup(osPid, "SIGKILL");
      cgroup?.end();
      if (mark !== undefined) stragglers.end(mark);
      keeper.forget(osPid);
      priorities.forget(osPid);
      spec.log.hurry();
      void within(written, LAST_WORDS_MS).then(() => {
        // Whoever left its group may hold the other end for ever.
        child.stdout?.destroy();
        if (signal) onExit(128 + constants.signals[signal], `signal ${signal.replace("SIG", "")}`);
        else onExit(code ?? 0, "exit");
        end();
      });
    });
  });
  const signal = (name: NodeJS.Signals): void => {
    signalGroup(osPid, name);
    if (name === "SIGKILL") cgroup?.kill();
  };
  return { osPid, gone, signal };
}

/** Resolves when its process is there. */
function started(spec: OsProcessSpec, env: Record<string, string>): Promise<ChildProcess> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => reject(startError(error, spec));
    try {
      const [shell = "", ...args] = confined(spec, spec.cgroup?.entrance);
      const child = spawn(shell, args, {
        ...{ cwd: spec.cwd, env, detached: true },
        stdio: ["ignore", "pipe", "ignore"],
      });
      // At once: the daemon may be killed in the next moment, and what it starts is as it is.
      if (child.pid !== undefined) {
        spec.keeper.watch(child.pid);
        spec.priorities.lower(child.pid);
      }
      child.once("error", fail);
      child.once("spawn", () => resolve(child));
    } catch (error) {
      // A zero byte in a string, or more of them than the system takes.
      fail(error as NodeJS.ErrnoException);
    }
  });
}

async function within(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
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

/** Signals the whole group, so that a program's own children go with it. */
function signalGroup(osPid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-osPid, signal);
  } catch {
    // The group is gone: what the signal wanted has happened.
  }
}

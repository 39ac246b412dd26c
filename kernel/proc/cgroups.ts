/**
 * The control groups (cgroup v2) of agents, where the daemon may make such groups: each
 * agent is in one of its own, below one of the daemon, from before its program starts. A
 * process is born into its parent's group and leaves it only by writing to the file system
 * of groups, so all that an agent ever started is there: also what took a session of its
 * own (setsid), which a signal to a process group does not reach. `cgroup.kill` ends them
 * all at once.
 *
 * Limits for all of an agent's processes together need controllers besides. The system
 * hands them down only into a group that no process is in itself, so a daemon that is
 * alone in its group with what it has started moves into a group beside the agents'. One
 * that shares its group with others, or that was given no controllers, has only the kill;
 * then the limits are those of each OS process (confine.ts). All is found out by trying,
 * with the first agent: a daemon without agents changes nothing on the machine.
 *
 * Layout: `<the daemon's>/contix-PID/<agent>`, and `<the daemon's>/contixd-PID`.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../log.js";
import {
  agentsCgroup,
  type Controller,
  cgroupOf,
  controllersOf,
  remove,
  removeSoon,
  set,
  words,
} from "./cgroup-files.js";
import type { Keeper } from "./keeper.js";

/** Threads of an agent and of all that it starts. Node has eleven. */
const MOST_TASKS = 512;
/** What all agents together weigh against a daemon and its drivers, which weigh 100. */
const AGENTS_WEIGHT = 25;

/** The group of one agent. */
export interface Cgroup {
  /** Who writes 0 to this file is in it. */
  readonly entrance: string;
  /** Ends all that is in it. */
  kill(): void;
  /** The same, and removes it. */
  end(): void;
}

/** What an agent's group is set to: file and value, for the controllers that there are. */
export function agentLimits(
  controllers: readonly Controller[],
  memoryBytes: number,
): (readonly [file: string, value: string])[] {
  const memory = [
    ["memory.max", String(memoryBytes)],
    // Half an agent is of no use: when it is too much for its limit all of it ends.
    ["memory.oom.group", "1"],
  ] as const;
  return [
    ...(controllers.includes("memory") && memoryBytes > 0 ? memory : []),
    ...(controllers.includes("pids") ? [["pids.max", String(MOST_TASKS)] as const] : []),
  ];
}

/** The groups of a daemon's agents. */
export class Cgroups {
  readonly #keeper: Keeper;
  readonly #log: Log;
  /** The group that holds those of all agents; "": there can be none. Undefined: nobody has asked. */
  #directory: string | undefined;
  #last = 0;

  constructor(keeper: Keeper, log: Log) {
    this.#keeper = keeper;
    this.#log = log;
  }

  /** A group for an agent, where there can be one. `name` is for who looks at the machine. */
  make(name: string, memoryBytes: number): Cgroup | undefined {
    this.#directory ??= this.#open();
    if (this.#directory === "") return undefined;
    const directory = join(this.#directory, `${name}-${++this.#last}`);
    try {
      mkdirSync(directory);
    } catch (error) {
      this.#log.warn({ err: error }, "an agent without a control group");
      return undefined;
    }
    for (const [file, value] of agentLimits(controllersOf(directory), memoryBytes)) {
      set(directory, file, value);
    }
    const kill = (): void => void set(directory, "cgroup.kill", "1");
    const end = (): void => {
      kill();
      removeSoon(directory);
    };
    return { entrance: join(directory, "cgroup.procs"), kill, end };
  }

  #open(): string {
    const own = cgroupOf(process.pid);
    const directory = own === undefined ? undefined : openBelow(own);
    if (directory === undefined) {
      this.#log.info({ own }, "no control groups for agents: limits by setrlimit alone");
      return "";
    }
    this.#keeper.endsToo(directory);
    const limits = controllersOf(directory);
    this.#log.info({ cgroup: directory, limits }, "agents are in control groups");
    return directory;
  }
}

/** Makes the group of this daemon's agents. Undefined: it may not, or can not. */
function openBelow(own: string): string | undefined {
  const directory = agentsCgroup(own, process.pid);
  try {
    removeStale(own);
    mkdirSync(directory, { recursive: true });
    if (canEnter(directory)) {
      handDown(own, directory);
      set(directory, "cpu.weight", String(AGENTS_WEIGHT));
      return directory;
    }
  } catch {
    // It is another's to write, or read-only: as if there were none.
  }
  remove(directory);
  return undefined;
}

/** Whether a program can be started in a group, and the group be ended: tried, because there are many ways that it can not. */
function canEnter(directory: string): boolean {
  if (!existsSync(join(directory, "cgroup.kill"))) return false;
  const script = 'echo 0 >"$1" && grep -q . "$1"';
  const procs = join(directory, "cgroup.procs");
  return spawnSync("/bin/sh", ["-c", script, "sh", procs], { stdio: "ignore" }).status === 0;
}

/** Has the system hand controllers down to the agents' groups, as many as it will. */
function handDown(own: string, directory: string): void {
  const wanted = controllersOf(own);
  if (wanted.length === 0) return;
  if (!enable(own, wanted)) {
    if (!moveOut(own)) return;
    enable(own, wanted);
  }
  enable(directory, controllersOf(directory));
}

function enable(directory: string, controllers: readonly Controller[]): boolean {
  const change = controllers.map((name) => `+${name}`).join(" ");
  return set(directory, "cgroup.subtree_control", change);
}

/** Moves this daemon and all that it has started into a group of their own. False: others are there, too. */
function moveOut(own: string): boolean {
  const there = words(join(own, "cgroup.procs")).map(Number);
  if (!there.every((pid) => isOurs(pid))) return false;
  const beside = join(own, `contixd-${process.pid}`);
  mkdirSync(beside);
  return there.every((pid) => set(beside, "cgroup.procs", String(pid)));
}

/** Whether a process is this one, or descends from it. */
function isOurs(pid: number): boolean {
  for (let at = pid; at > 1; at = parentOf(at)) if (at === process.pid) return true;
  return pid === process.pid;
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return 0;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** Ends what daemons that are no more have left here: they and their keepers were killed. */
function removeStale(own: string): void {
  for (const name of readdirSync(own)) {
    const [, whose, pid = "0"] = /^contix(d?)-(\d+)$/.exec(name) ?? [];
    if (pid === "0" || isAlive(Number(pid))) continue;
    if (whose === "") set(join(own, name), "cgroup.kill", "1");
    removeSoon(join(own, name));
  }
}

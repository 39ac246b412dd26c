/** What stands between agents, and between them and the machine: said as it is, so that nobody trusts more. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { loadConfig } from "../../kernel/config.js";
import { AGENT_NICE, DRIVER_NICE } from "../../kernel/proc/priority.js";
import { type AgentCgroups, agentCgroups } from "./cgroup.js";
import { type Check, ok, warn } from "./check.js";

/** Sets a limit of memory as a start of an agent does, and reads it back, KiB. */
const PROBE = "ulimit -d 1048576 && ulimit -d";

/** What of the machine decides. */
interface Machine {
  readonly cgroups: AgentCgroups;
  /** Processes are weighed by session first. */
  readonly autogroup: boolean;
  readonly root: boolean;
}

export async function checkIsolation(home: string): Promise<Check> {
  const root = process.getuid?.() === 0;
  return isolation(home, { cgroups: await agentCgroups(home), autogroup: hasAutogroup(), root });
}

export function isolation(home: string, { cgroups, ...weights }: Machine): Check {
  const user = process.getuid === undefined ? "this user" : `user ${process.getuid()}`;
  const each = "an OS process in a group of its own and a one-time token for each agent";
  const found = [
    `${each}, all of ${user}`,
    limits(home),
    "Node's permissions for who asks (contix run --permission)",
    together(cgroups),
    priorities(weights),
    "no sandbox: run only programs you trust",
  ].join("; ");
  if (holds()) return ok("isolation", found);
  const fix = "agents of this machine take as much memory as they want";
  return warn("isolation", `${found}; this system does not keep ulimit -d`, fix);
}

/** What holds for an agent and all that it starts. */
function together({ held, controllers }: AgentCgroups): string {
  if (!held) {
    const found =
      "agents die with the daemon; what left its process group (setsid) is found by its environment when its agent ends";
    return `${found}, and by nothing when the daemon is killed: no control group (cgroup v2) may be made here`;
  }
  const dies = "control groups (cgroup v2): agents die with the daemon, and all that they started";
  if (controllers === undefined) return `${dies}; which limits they set shows with the first agent`;
  if (controllers.length === 0) return `${dies}; they were given no controllers and limit nothing`;
  return `${dies}; they limit all of an agent together: ${controllers.join(", ")}`;
}

/** Who gives way to whom. */
function priorities({ autogroup, root }: Pick<Machine, "autogroup" | "root">): string {
  const nice = `agents run at nice ${AGENT_NICE}, drivers at ${DRIVER_NICE}`;
  if (!autogroup) return nice;
  const groups = `${nice}, and so do the agents' session groups (autogroup)`;
  return root ? groups : `${groups}, of which the system lowers one in 100 ms`;
}

function hasAutogroup(): boolean {
  try {
    return readFileSync("/proc/sys/kernel/sched_autogroup_enabled", "utf8").trim() === "1";
  } catch {
    // No such thing on this system.
    return false;
  }
}

function limits(home: string): string {
  const memory = agentMemory(home);
  const each = memory === "0" ? "no limit of memory (agentMemory)" : `${memory} of memory`;
  return `limits by setrlimit: ${each}, CPU time and files where asked, for each OS process and not for all of an agent's together`;
}

function agentMemory(home: string): string {
  try {
    return loadConfig({ home }, process.env).agentMemory;
  } catch {
    // What is wrong with the configuration is another check's to say.
    return "0";
  }
}

function holds(): boolean {
  const { stdout } = spawnSync("/bin/sh", ["-c", PROBE], { encoding: "utf8" });
  return stdout?.trim() === "1048576";
}

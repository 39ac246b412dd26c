/** Which control groups hold agents: those of the daemon that runs, or what one started from here could make. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import {
  agentsCgroup,
  type Controller,
  cgroupOf,
  controllersOf,
  mayMakeBelow,
} from "../../kernel/proc/cgroup-files.js";
import { runningDaemon } from "../home.js";

export interface AgentCgroups {
  /** Whether agents are, or would be, in groups of their own. */
  readonly held: boolean;
  /** What the groups limit; undefined: that shows with the first agent. */
  readonly controllers: readonly Controller[] | undefined;
}

const NONE: AgentCgroups = { held: false, controllers: [] };

export async function agentCgroups(home: string): Promise<AgentCgroups> {
  const daemon = await runningDaemon(home);
  const pid = daemon?.pid ?? process.pid;
  const own = cgroupOf(pid);
  if (own === undefined) return NONE;
  // A daemon that was alone in its group has moved into one beside its agents'.
  const made = [own, dirname(own)].map((at) => agentsCgroup(at, pid)).find((at) => existsSync(at));
  if (made !== undefined) return { held: true, controllers: controllersOf(made) };
  if (!mayMakeBelow(own)) return NONE;
  return { held: true, controllers: controllersOf(own).length === 0 ? [] : undefined };
}

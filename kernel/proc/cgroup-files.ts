/** Control groups as the system shows them: directories, made and removed, and files in them. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** What can be limited for an agent as a whole, where the system hands it down. */
export const CONTROLLERS = ["cpu", "memory", "pids"] as const;
export type Controller = (typeof CONTROLLERS)[number];

/** A group is empty a moment after its kill: how often, and from which pause on, its removal is tried. */
const REMOVALS = 10;
const FIRST_PAUSE_MS = 5;

/** The directory of the group that a process is in; undefined: there is no cgroup v2, or it is not in sight. */
export function cgroupOf(pid: number): string | undefined {
  try {
    const own = /^0::(\/.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1];
    // …  4 root  5 mount point  …  - type
    const mount = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .find((line) => line.includes(" - cgroup2 "))
      ?.split(" ");
    const [root = "/", at] = mount?.slice(3) ?? [];
    if (own === undefined || at === undefined || own.includes("..")) return undefined;
    return join(at, root !== "/" && own.startsWith(root) ? own.slice(root.length) : own);
  } catch {
    return undefined;
  }
}

/** Where a daemon's agents are. */
export function agentsCgroup(daemonsGroup: string, daemonPid: number): string {
  return join(daemonsGroup, `contix-${daemonPid}`);
}

/** Whether this process may make groups below a group, and end what is in them. */
export function mayMakeBelow(own: string): boolean {
  const directory = join(own, `contix-try-${process.pid}`);
  try {
    mkdirSync(directory);
  } catch {
    return false;
  }
  const ends = existsSync(join(directory, "cgroup.kill"));
  remove(directory);
  return ends;
}

/** The controllers that limit what is in a group. */
export function controllersOf(directory: string): Controller[] {
  const found = words(join(directory, "cgroup.controllers"));
  return CONTROLLERS.filter((name) => found.includes(name));
}

/** Removes a group and those in it as soon as nobody is there any more. */
export function removeSoon(directory: string, tries = REMOVALS, pauseMs = FIRST_PAUSE_MS): void {
  if (remove(directory) || tries === 0) return;
  setTimeout(() => removeSoon(directory, tries - 1, 2 * pauseMs), pauseMs).unref();
}

/** Removes a group and those in it. @returns whether it is gone. */
export function remove(directory: string): boolean {
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) remove(join(directory, entry.name));
    }
    rmdirSync(directory);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

/** Writes to a file of a group. @returns whether the system took it. */
export function set(directory: string, file: string, value: string): boolean {
  try {
    writeFileSync(join(directory, file), value);
    return true;
  } catch {
    return false;
  }
}

/** What a file of a group lists; nothing when it can not be read. */
export function words(path: string): string[] {
  try {
    return readFileSync(path, "utf8")
      .split(/\s+/)
      .filter((word) => word !== "");
  } catch {
    return [];
  }
}

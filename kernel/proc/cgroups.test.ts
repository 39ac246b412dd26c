import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { silentLog } from "../log.js";
import { agentsCgroup, cgroupOf, mayMakeBelow, remove } from "./cgroup-files.js";
import { agentLimits, Cgroups } from "./cgroups.js";
import { Keeper } from "./keeper.js";

const own = cgroupOf(process.pid) ?? "";
const may = own !== "" && mayMakeBelow(own);

it("limits what there are controllers for", () => {
  expect(agentLimits([], 1 << 30)).toEqual([]);
  expect(agentLimits(["cpu", "memory", "pids"], 1 << 30)).toEqual([
    ["memory.max", "1073741824"],
    ["memory.oom.group", "1"],
    ["pids.max", "512"],
  ]);
  expect(agentLimits(["memory", "pids"], 0)).toEqual([["pids.max", "512"]]);
});

it.skipIf(!may)(
  "ends and removes what a daemon that is no more has left, and nothing else",
  async () => {
    const dead = spawnSync("true").pid;
    const [stale, living] = [agentsCgroup(own, dead), agentsCgroup(own, 1)];
    const [old, other] = [spawn("sleep", ["600"]), spawn("sleep", ["600"])];
    const ended = once(old, "exit");
    for (const [group, { pid }] of [
      [stale, old],
      [living, other],
    ] as const) {
      mkdirSync(join(group, "agent"), { recursive: true });
      writeFileSync(join(group, "agent", "cgroup.procs"), String(pid));
    }
    const made = new Cgroups(new Keeper(), silentLog).make("a", 0);
    expect((await ended)[1]).toBe("SIGKILL");
    while (existsSync(stale)) await new Promise((resolve) => setTimeout(resolve, 5));
    expect([existsSync(living), other.exitCode, other.signalCode]).toEqual([true, null, null]);
    other.kill("SIGKILL");
    await once(other, "exit");
    while (!remove(living)) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(remove(dirname(dirname(made?.entrance ?? "")))).toBe(true);
  },
);

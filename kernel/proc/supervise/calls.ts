/** The syscalls of supervision. */
import { ContixError } from "../../../proto/errno.js";
import { argumentsOf, inRange } from "../../args.js";
import type { Call } from "../../call.js";
import { askerOf } from "../../cap/calls.js";
import { throughNamespace } from "../../cap/check.js";
import { RIGHTS } from "../../cap/rights.js";
import { theTarget } from "../../cap/target.js";
import { makeId, showId } from "../../ids.js";
import { type Kernel, NODE } from "../../kernel.js";
import { INTENSITY, intensityOf, watchdogOf } from "./births.js";
import { STRATEGIES } from "./decide.js";
import { GRACE_US } from "./supervisor.js";

const LONGEST_GRACE_US = 3_600_000_000;

export function supervise(kernel: Kernel, call: Call): void {
  const args = argumentsOf(call, "supervise");
  const { state } = kernel.journal;
  const { pid: owner, principal } = call.process;
  const strategy = STRATEGIES.find((one) => one === (args.strategy || "one_for_one"));
  if (!strategy) {
    const message = `there is no strategy "${args.strategy.slice(0, 64)}"; one of ${STRATEGIES.join(", ")}`;
    throw new ContixError("EINVAL", message, { argument: "strategy" });
  }
  const { max, withinUs } = intensityOf({ ...args, max: args.max ?? INTENSITY.max });
  const groups = [...state.supervision.groups.values()];
  const held = groups.filter((group) => !group.solo && group.principal === principal).length;
  const most = kernel.config.limits.processesPerPrincipal;
  if (held >= most) {
    const message = `${principal} has ${held} supervised groups; at most ${most}`;
    throw new ContixError("EDQUOT", message, { argument: "supervise" });
  }
  const group = makeId(NODE, state.counters.pid + 1);
  const made = { group, owner, principal, strategy, max, withinUs, solo: false };
  call.done({ $case: "supervise", value: { group } }, [{ type: "supervise.group", ...made }]);
}

/** The trap has told the supervisor. */
export function heartbeat(_: Kernel, call: Call): void {
  call.done({ $case: "heartbeat", value: {} });
}

export function watchdog({ procs }: Kernel, call: Call): void {
  const watchdogUs = watchdogOf(argumentsOf(call, "watchdog").watchdogUs);
  const { pid } = call.process;
  call.done({ $case: "watchdog", value: {} });
  procs.supervisor.adopt(pid);
  procs.supervisor.watchdog(pid, watchdogUs);
}

export async function stop({ procs }: Kernel, call: Call): Promise<void> {
  const { graceUs } = argumentsOf(call, "stop");
  const { pid } = theTarget(call);
  if (pid === call.process.pid) {
    throw new ContixError("EINVAL", "a process does not wait for its own end", { argument: "pid" });
  }
  call.waitingOn = "child";
  await procs.supervisor.stop(pid, graceOf(graceUs));
  call.done({ $case: "stop", value: {} });
}

export async function stopGroup(kernel: Kernel, call: Call): Promise<void> {
  const { group: id, graceUs } = argumentsOf(call, "stopGroup");
  const { supervisor } = kernel.procs;
  const group = kernel.journal.state.supervision.groups.get(id);
  if (!group || group.solo) {
    const message = `there is no supervised group ${showId(id)}`;
    throw new ContixError("ESRCH", message, { argument: "group" });
  }
  const wanted = { object: "principal", rights: RIGHTS.signal } as const;
  throughNamespace(askerOf(kernel, call), wanted, group.principal, "group");
  if (group.members.has(call.process.pid)) {
    const message = "a process does not wait for its own end";
    throw new ContixError("EINVAL", message, { argument: "group" });
  }
  call.waitingOn = "child";
  await supervisor.stopGroup(id, graceOf(graceUs));
  call.done({ $case: "stopGroup", value: {} });
}

function graceOf(us: bigint): number {
  return us === 0n ? GRACE_US : inRange("grace_us", Number(us), 1, LONGEST_GRACE_US);
}

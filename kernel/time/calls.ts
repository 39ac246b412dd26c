/** The time syscalls. */
import { ContixError } from "../../proto/errno.js";
import type { ScheduleCall } from "../../proto/gen/contix/v1/time.js";
import { argumentsOf, inRange } from "../args.js";
import type { Call } from "../call.js";
import { checkScope } from "../cap/scopes.js";
import { makeId } from "../ids.js";
import { checkSubject } from "../ipc/subjects.js";
import { nameKey } from "../journal/fold-ipc.js";
import type { Schedule, ScheduleTarget } from "../journal/fold-time.js";
import { type Kernel, NODE } from "../kernel.js";
import { processSleeps } from "../mm/process-waits.js";
import { signalName } from "../proc/signals.js";
import { never, nextAfter, parseCron } from "./cron.js";
import { showTarget } from "./schedules.js";

const NAME = /^[^\s\p{Cc}]{1,128}$/u;
const LONGEST_US = 366 * 86_400 * 1e6;

export function sleep(kernel: Kernel, call: Call): void {
  const { us } = argumentsOf(call, "sleep");
  call.waitingOn = "timer";
  processSleeps(kernel, call.process, Number(us));
  const cancel = kernel.clock.after(Number(us), () => call.done({ $case: "sleep", value: {} }));
  call.onEnd(cancel);
}

export function alarm(kernel: Kernel, call: Call): void {
  const us = inRange("us", Number(argumentsOf(call, "alarm").us), 0, LONGEST_US);
  const { pid } = call.process;
  const leftUs = BigInt(Math.round(kernel.time.alarms.left(pid)));
  const at = kernel.clock.now() + us;
  const effect =
    us === 0 ? { type: "alarm.over" as const, pid } : { type: "alarm.set" as const, pid, at };
  call.done({ $case: "alarm", value: { leftUs } }, [effect]);
  kernel.time.alarms.watch(pid);
}

export function schedule(kernel: Kernel, call: Call): void {
  const args = argumentsOf(call, "schedule");
  const { name, cron: expression, timezone: zone, body } = args;
  const { journal, clock, config } = kernel;
  const { principal } = call.process;
  if (!NAME.test(name)) {
    const message = `name is "${name.slice(0, 128)}"; it must be 1 to 128 characters without blanks`;
    throw new ContixError("EINVAL", message, { argument: "name" });
  }
  if (find(kernel, principal, name)) {
    throw new ContixError("EEXIST", `there is a schedule "${name}"`, { argument: "name" });
  }
  checkRoom(kernel, principal);
  if (body.length > config.limits.messageBytes) {
    const message = `a body of ${body.length} bytes; at most ${config.limits.messageBytes}`;
    throw new ContixError("EMSGSIZE", message, { argument: "body" });
  }
  const target = checkTarget(kernel, call, args);
  const timezone = zone || "UTC";
  const at = clock.wall();
  const next = nextAfter(parseCron(expression, timezone), at);
  if (next === undefined) throw never(expression);
  const id = makeId(NODE, journal.state.time.last + 1);
  const set = { id, principal, name, cron: expression, timezone, target, body, at };
  const value = { id, nextMs: BigInt(next) };
  call.done({ $case: "schedule", value }, [{ type: "schedule.set", ...set }]);
  kernel.time.schedules.watch(id);
}

export function scheduleList(kernel: Kernel, call: Call): void {
  const { principal } = call.process;
  const own = [...kernel.journal.state.time.schedules.values()].filter(
    (each) => each.principal === principal,
  );
  const schedules = own.map((each) => ({
    id: each.id,
    name: each.name,
    cron: each.cron,
    timezone: each.timezone,
    target: showTarget(each.target),
    nextMs: BigInt(kernel.time.schedules.next(each) ?? 0),
    fired: BigInt(each.fired),
    missed: BigInt(each.missed),
  }));
  call.done({ $case: "scheduleList", value: { schedules } });
}

export function scheduleRemove(kernel: Kernel, call: Call): void {
  const { name } = argumentsOf(call, "scheduleRemove");
  const found = find(kernel, call.process.principal, name);
  if (!found) {
    throw new ContixError("ENOENT", `there is no schedule "${name}"`, { argument: "name" });
  }
  const { id } = found;
  call.done({ $case: "scheduleRemove", value: {} }, [{ type: "schedule.removed", id }]);
  kernel.time.schedules.forget(id);
}

function find(
  { journal }: Kernel,
  principal: string,
  name: string,
): Readonly<Schedule> | undefined {
  for (const each of journal.state.time.schedules.values()) {
    if (each.name === name && each.principal === principal) return each;
  }
  return undefined;
}

function checkRoom({ journal, config }: Kernel, principal: string): void {
  const held = journal.state.time.counts.get(principal) ?? 0;
  const most = config.limits.schedulesPerPrincipal;
  if (held < most) return;
  const message = `${principal} has ${held} schedules; at most ${most}`;
  throw new ContixError("EDQUOT", message, { argument: "name" });
}

/** Where the firings go: to the caller, or to what is its principal's. */
function checkTarget(kernel: Kernel, call: Call, args: ScheduleCall): ScheduleTarget {
  const { inbox, signal, mailbox, subject } = args;
  if ([inbox, signal, mailbox, subject].filter(Boolean).length !== 1) {
    const message = "a schedule goes to one of inbox, signal, mailbox, subject";
    throw new ContixError("EINVAL", message, { argument: "mailbox" });
  }
  const { pid } = call.process;
  if (inbox) return { kind: "pid", pid };
  if (signal !== "") return { kind: "signal", pid, signal: signalName(signal) };
  // What the caller could not do by a call of its own it can not do by a schedule.
  checkScope(kernel, call.process, { name: subject !== "" ? "ipc.publish" : "ipc.send" });
  if (subject !== "") return { kind: "subject", subject: checkSubject("subject", subject) };
  const key = nameKey(call.process.principal, "mailbox", mailbox);
  if (kernel.journal.state.ipc.names.has(key)) return { kind: "mailbox", name: mailbox };
  const message = `there is no mailbox "${mailbox.slice(0, 128)}"`;
  throw new ContixError("ENOENT", message, { argument: "mailbox" });
}

/** The proc syscalls. */
import type { ContixError } from "../../proto/errno.js";
import { argumentsOf, inRange } from "../args.js";
import type { Call } from "../call.js";
import { askerOf } from "../cap/calls.js";
import { reaches } from "../cap/check.js";
import { RIGHTS } from "../cap/rights.js";
import { theTarget } from "../cap/target.js";
import type { Process } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { callWaits } from "../mm/process-waits.js";
import { signalName } from "./signals.js";
import { NICE } from "./spawn.js";

export function wait(kernel: Kernel, call: Call): void {
  const { pid } = argumentsOf(call, "wait");
  call.waitingOn = "child";
  const found = (child: Process): void => {
    const { code, cause } = child.exit ?? { code: 0, cause: "" };
    const value = { pid: child.pid, exitCode: code, cause };
    call.done({ $case: "wait", value }, [kernel.procs.reap(child.pid)]);
  };
  const failed = (error: ContixError): void => call.fail(error);
  call.onEnd(kernel.procs.wait({ parent: call.process.pid, pid, found, failed }));
  callWaits(kernel, call);
}

export function kill(kernel: Kernel, call: Call): void {
  const args = argumentsOf(call, "kill");
  const signal = signalName(args.signal === "" ? "TERM" : args.signal);
  const target = theTarget(call);
  const pids = args.group ? groupOf(kernel, call, target) : [target.pid];
  call.done({ $case: "kill", value: { signalled: pids.length } });
  for (const pid of pids) kernel.procs.signals.ask(pid, signal, call.process.pid);
}

/** Those of the target's group that the caller may signal: as in Unix the others are passed over. */
function groupOf(kernel: Kernel, call: Call, { pid: target, group }: Process): bigint[] {
  const asker = askerOf(kernel, call);
  const members = [...kernel.journal.state.processes.values()].filter((process) => {
    return process.group === group && !process.exit;
  });
  const may = members.filter(({ pid }) => pid === target || reaches(asker, pid, RIGHTS.signal));
  return may.map(({ pid }) => pid);
}

export function exit(kernel: Kernel, call: Call): void {
  const { code } = argumentsOf(call, "exit");
  const { pid } = call.process;
  call.done({ $case: "exit", value: {} });
  // A spawned program says how it ended by its OS process; this one only by this call.
  if (kernel.procs.osPid(pid) === 0) {
    const answered = Promise.all([kernel.journal.sync(), kernel.audit.sync()]);
    void answered.then(() => kernel.procs.exited(pid, code, "exit"));
  }
}

export function nice(kernel: Kernel, call: Call): void {
  const args = argumentsOf(call, "nice");
  const value = inRange("nice", args.nice, NICE.min, NICE.max);
  const { pid } = theTarget(call);
  call.done({ $case: "nice", value: {} }, [{ type: "proc.niced", pid, nice: value }]);
  for (const { sched } of kernel.engines.running) sched.renice(pid, value);
}

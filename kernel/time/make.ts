/** Alarms and schedules of a kernel. */
import type { Kernel } from "../kernel.js";
import { Alarms } from "./alarms.js";
import { fire } from "./fire.js";
import { Schedules } from "./schedules.js";

export interface KernelTime {
  readonly alarms: Alarms;
  readonly schedules: Schedules;
  /** The process is over: its alarm, and the schedules that told it. */
  processOver(pid: bigint): void;
}

export function makeTime(kernel: Kernel): KernelTime {
  const { journal, clock, log } = kernel;
  const alarms = new Alarms(journal, clock, (pid) => kernel.procs.signal(pid, "ALRM", 0n));
  const schedules = new Schedules({
    ...{ journal, clock, log },
    fire: (schedule, firing) => fire(kernel, schedule, firing),
  });
  schedules.resume();
  return {
    alarms,
    schedules,
    processOver(pid) {
      alarms.processOver(pid);
      schedules.processOver(pid);
    },
  };
}

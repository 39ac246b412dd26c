/**
 * The kernel around the scheduler, on the virtual clock: the process table with its
 * supervisor and its signals, the calls in flight, rates and quotas, the lives of contexts,
 * messages and alarms are production's, joined as it joins them (kernel/main.ts). There are
 * no doors, no drivers and no audit: nobody calls from outside. What the operating system
 * does for a process is played (processes.ts).
 */
import { Rates } from "../../../kernel/cap/rates/rates.js";
import type { Clock } from "../../../kernel/clock.js";
import { type Config, ConfigSchema } from "../../../kernel/config.js";
import { Ipc } from "../../../kernel/ipc/ipc.js";
import type { Journal } from "../../../kernel/journal/journal.js";
import type { Kernel } from "../../../kernel/kernel.js";
import { silentLog } from "../../../kernel/log.js";
import { ContextLife } from "../../../kernel/mm/context-life.js";
import { PageQuotas } from "../../../kernel/mm/page-quotas.js";
import { Accounts } from "../../../kernel/proc/accounts.js";
import { type KernelTime, makeTime } from "../../../kernel/time/make.js";
import { random } from "../../harness/random.js";
import { VirtualTrap } from "./calls.js";
import { VirtualProcesses } from "./processes.js";

export interface VirtualKernelOptions {
  readonly clock: Clock;
  readonly journal: Journal;
  /** Where they are not as by default. */
  readonly limits: Partial<Config["limits"]>;
  /** The context is closed: its slot and its pages are free. */
  readonly dropContext: (cid: bigint) => void;
}

export type VirtualKernel = Pick<Kernel, "accounts" | "clock" | "journal" | "life" | "rates"> & {
  readonly trap: VirtualTrap;
  readonly procs: VirtualProcesses;
};

/** Nothing is ever written there: no program of a simulation has output. */
const HOME = "/nowhere";

export function virtualKernel({
  clock,
  journal,
  limits,
  dropContext,
}: VirtualKernelOptions): VirtualKernel {
  const config = ConfigSchema.parse({ home: HOME, limits });
  const accounts = new Accounts();
  const next = random(1);
  const parts = {
    ...{ clock, journal, config, accounts, log: silentLog },
    random: { bytes: (n: number) => Buffer.from(Array.from({ length: n }, () => next() * 256)) },
    ipc: new Ipc({ journal, clock, config }),
    rates: new Rates({
      ...{ config, clock, journal, accounts },
      pages: new PageQuotas(config.limits, journal),
    }),
    life: new ContextLife({
      ...{ clock, journal, log: silentLog },
      engines: { drop: ({ cid }) => dropContext(cid) },
    }),
    // Nobody is asked for approval.
    ask: { gone() {} },
  };
  const kernel = parts as typeof parts & {
    trap: VirtualTrap;
    procs: VirtualProcesses;
    time: KernelTime;
  };
  // What it lacks nobody reaches without doors.
  const whole = kernel as unknown as Kernel;
  kernel.trap = new VirtualTrap(whole);
  kernel.procs = new VirtualProcesses(whole);
  kernel.time = makeTime(whole);
  return kernel;
}

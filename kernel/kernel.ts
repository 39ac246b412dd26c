/** What the parts of the kernel reach each other by. Made in main.ts, step by step. */
import type { Ready } from "../proto/gen/contix/driver/v1/llm.js";
import type { Clock, Randomness } from "./clock.js";
import type { Config } from "./config.js";
import type { LlmDriver } from "./drivers/llm.js";
import type { Mailboxes } from "./ipc/mailboxes.js";
import type { Journal } from "./journal/journal.js";
import type { Log } from "./log.js";
import type { Placer } from "./mm/place.js";
import type { Accounts } from "./proc/accounts.js";
import type { Processes } from "./proc/processes.js";
import type { Admission } from "./sched/admission.js";
import type { Loop } from "./sched/loop.js";
import type { Scheduler } from "./sched/scheduler.js";
import type { Trap } from "./trap.js";

export interface Kernel {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly log: Log;
  readonly journal: Journal;
  readonly trap: Trap;
  readonly procs: Processes;
  readonly mail: Mailboxes;
  readonly accounts: Accounts;
  readonly driver: LlmDriver;
  /** What the driver said of its engine when it first was ready. */
  readonly engine: Ready;
  readonly sched: Scheduler;
  readonly admission: Admission;
  readonly placer: Placer;
  readonly loop: Loop;
  /** Contexts with an append or a generation in progress: one at a time. */
  readonly busyContexts: Set<bigint>;
  readonly startedAt: number;
}

export const NODE = 1;
export const ABI = 1;
export const VERSION = "0.1.0";

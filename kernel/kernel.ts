/** What the parts of the kernel reach each other by. Made in main.ts, step by step. */
import type { Clock, Randomness } from "./clock.js";
import type { Config } from "./config.js";
import type { Engines } from "./engines/engines.js";
import type { ModelLibrary } from "./engines/library.js";
import type { Mailboxes } from "./ipc/mailboxes.js";
import type { Journal } from "./journal/journal.js";
import type { Log } from "./log.js";
import type { ContextLife } from "./mm/context-life.js";
import type { Quotas } from "./mm/quota.js";
import type { Accounts } from "./proc/accounts.js";
import type { Processes } from "./proc/processes.js";
import type { ChunkRate } from "./sched/chunk-rate.js";
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
  readonly library: ModelLibrary;
  /** The models that are served, each with a driver, slots, a queue and a loop of its own. */
  readonly engines: Engines;
  /** Who uses a context, and when it ends. */
  readonly life: ContextLife;
  readonly quotas: Quotas;
  /** How often streams tell what they have. */
  readonly chunkRate: ChunkRate;
  readonly startedAt: number;
}

export const NODE = 1;
export const ABI = 1;
export const VERSION = "0.1.0";

/** What the parts of the kernel reach each other by. Made in main.ts, step by step. */
import type { Questions } from "./cap/ask/questions.js";
import type { Audit } from "./cap/audit.js";
import type { Principals } from "./cap/principals.js";
import type { Rates } from "./cap/rates/rates.js";
import type { Clock, Randomness } from "./clock.js";
import type { Config } from "./config.js";
import type { DoorBooks } from "./doors/books.js";
import type { Engines } from "./engines/engines.js";
import type { ModelLibrary } from "./engines/library.js";
import type { Events } from "./events/events.js";
import type { Ipc } from "./ipc/ipc.js";
import type { Journal } from "./journal/journal.js";
import type { Log } from "./log.js";
import type { ContextLife } from "./mm/context-life.js";
import type { Quotas } from "./mm/quota.js";
import type { Accounts } from "./proc/accounts.js";
import type { Processes } from "./proc/processes.js";
import type { Queues } from "./queues.js";
import type { ChunkRate } from "./sched/chunk-rate.js";
import type { KernelTime } from "./time/make.js";
import type { Trap } from "./trap.js";

export interface Kernel {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly log: Log;
  readonly journal: Journal;
  readonly trap: Trap;
  /** What has happened at the doors. */
  readonly doors: DoorBooks;
  /** What waits in it. */
  readonly queues: Queues;
  readonly procs: Processes;
  /** Messages between processes. */
  readonly ipc: Ipc;
  /** Alarms and schedules. */
  readonly time: KernelTime;
  readonly accounts: Accounts;
  readonly library: ModelLibrary;
  /** The models that are served, each with a driver, slots, a queue and a loop of its own. */
  readonly engines: Engines;
  /** Who uses a context, and when it ends. */
  readonly life: ContextLife;
  readonly quotas: Quotas;
  /** Who there is, and by which keys. */
  readonly principals: Principals;
  /** Hooks of the trap's pipeline, in its order. */
  readonly rates: Rates;
  readonly ask: Questions;
  readonly audit: Audit;
  /** What it tells of itself. */
  readonly events: Events;
  /** How often streams tell what they have. */
  readonly chunkRate: ChunkRate;
  readonly startedAt: number;
}

/** The node that this kernel is in its cluster; there is one kernel to an OS process. */
export let NODE = 1;
/** Said once, at boot, before anything has an id. */
export function becomeNode(node: number): void {
  NODE = node;
}
export const ABI = 1;
export const VERSION = "0.1.0";

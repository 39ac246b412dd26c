/**
 * What processes do between two bursts, as eviction policies hear of it: a process that
 * sleeps is back at a known time, one that waits for a message or a child after as long
 * as such waits take here.
 */
import type { Process } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import type { Wait } from "./eviction/policy.js";

/** The process waits now: so do its contexts, but for those that another call of it uses. */
export function processWaits(
  { journal, engines, life, clock }: Pick<Kernel, "journal" | "engines" | "life" | "clock">,
  { handles }: Pick<Process, "handles">,
  wait: Wait,
): void {
  const now = clock.now();
  for (const cid of handles.values()) {
    const context = journal.state.contexts.get(cid);
    if (context && !life.isBusy(cid)) engines.waits(context, wait, now);
  }
}

/** It sleeps for so many microseconds. */
export function processSleeps(
  kernel: Pick<Kernel, "journal" | "engines" | "life" | "clock">,
  process: Pick<Process, "handles">,
  us: number,
): void {
  processWaits(kernel, process, { kind: "timer", until: kernel.clock.now() + us });
}

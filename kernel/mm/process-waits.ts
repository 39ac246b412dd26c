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
  { pid, handles }: Pick<Process, "pid" | "handles">,
  wait: Wait,
): void {
  const now = clock.now();
  const { caps, contexts } = journal.state;
  for (const id of handles.values()) {
    const object = caps.get(id)?.object;
    if (object?.type !== "context" || typeof object.id !== "bigint") continue;
    const context = contexts.get(object.id);
    // One that was lent to it has an owner who does not wait.
    if (context?.owner === pid && !life.isBusy(context.cid)) engines.waits(context, wait, now);
  }
}

/** It sleeps for so many microseconds. */
export function processSleeps(
  kernel: Pick<Kernel, "journal" | "engines" | "life" | "clock">,
  process: Pick<Process, "pid" | "handles">,
  us: number,
): void {
  processWaits(kernel, process, { kind: "timer", until: kernel.clock.now() + us });
}

/**
 * What processes do between two bursts, as eviction policies hear of it. One that sleeps
 * is back at a known time. One whose call waits is back after as long as such waits take
 * here: for a message or the reply to a request, a child, a pipe, a lock, a barrier, a
 * question or its answer. What it does by itself, a tool say, the kernel does not see;
 * `ctx.advise` tells of it.
 */
import type { Call } from "../call.js";
import type { Context, Process } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import type { Wait } from "./eviction/policy.js";

type Parts = Pick<Kernel, "journal" | "engines" | "life" | "clock">;

/** The call waits, if it was not answered at once; what for is what `ps` shows of it. */
export function callWaits(
  kernel: Parts,
  { over, process, waitingOn }: Pick<Call, "over" | "process" | "waitingOn">,
): void {
  if (!over) processWaits(kernel, process, { kind: waitingOn });
}

/** Whether its owner has said when it will be used next. Nobody knows better until it is. */
export function isAdvised({ advice }: Pick<Context, "advice">): boolean {
  return advice !== undefined && (advice.need !== "unknown" || advice.pauseUs > 0);
}

/** The process waits now: so do its contexts, but for those that another call of it uses. */
export function processWaits(
  { journal, engines, life, clock }: Parts,
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
    if (context?.owner !== pid || life.isBusy(context.cid)) continue;
    if (!isAdvised(context)) engines.waits(context, wait, now);
  }
}

/** It sleeps for so many microseconds. */
export function processSleeps(
  kernel: Parts,
  process: Pick<Process, "pid" | "handles">,
  us: number,
): void {
  processWaits(kernel, process, { kind: "timer", until: kernel.clock.now() + us });
}

/**
 * What a process may hear of the kernel. It is what it may look at: who can read his
 * principal's namespace hears what happens there, who can read everybody's hears all, and
 * one in a sandbox hears nothing.
 */
import { sees } from "../cap/check.js";
import { EVERYONE } from "../cap/rights.js";
import { checkScope } from "../cap/scopes.js";
import type { ReadonlyState } from "../journal/journal.js";
import type { JournalRecord } from "../journal/records.js";
import type { Kernel } from "../kernel.js";
import { allEvents, auditHeads, eventsFor } from "./nats-subjects.js";

export interface Hearing {
  readonly subjects: readonly string[];
  /** On the kernel's clock, microseconds: it is to be asked anew then; undefined: never. */
  readonly until: number | undefined;
}

const NOTHING: Hearing = { subjects: [], until: undefined };

/** `pid`: undefined for who was refused. */
export function hearingOf(kernel: Kernel, pid: bigint | undefined): Hearing {
  const { state } = kernel.journal;
  const process = state.processes.get(pid ?? 0n);
  const asker = process && { state, process, now: kernel.clock.now() };
  if (!asker || !inScope(kernel, asker.process)) return NOTHING;
  const { principal, namespaces } = asker.process;
  const ends = [...namespaces].flatMap((id) => state.caps.get(id)?.expires || []);
  const until = ends.length > 0 ? Math.min(...ends) : undefined;
  if (sees(asker, EVERYONE)) return { subjects: [allEvents(), auditHeads()], until };
  return sees(asker, principal) ? { subjects: [eventsFor(principal)], until } : NOTHING;
}

/** Events are of the group `sys`. */
function inScope(kernel: Kernel, process: Parameters<typeof checkScope>[1]): boolean {
  try {
    checkScope(kernel, process, { name: "sys.events" });
    return true;
  } catch {
    return false;
  }
}

/** Whether a record that is about to be applied may take a namespace from somebody who lives on. */
export function mayEndHearing({ caps, processes }: ReadonlyState, record: JournalRecord): boolean {
  switch (record.type) {
    case "cap.revoked":
    case "cap.closed":
    case "cap.moved":
      return caps.get(record.id)?.object.type === "principal";
    case "cap.gone":
      return record.object.type === "principal";
    case "proc.exited": {
      const own = [...(processes.get(record.pid)?.namespaces ?? [])];
      return own.some((id) => (caps.get(id)?.children.size ?? 0) > 0);
    }
    default:
      return false;
  }
}

/**
 * Handles in messages. A handle that is sent moves: the sender has it no more, the receiver
 * finds it under another number, and whoever granted it can still take it back.
 *
 * The handle on a context that its process owns is the context: to send it is to give the
 * context away (ctx.give), with what that asks of both sides.
 */
import { ContixError } from "../../proto/errno.js";
import { showId } from "../ids.js";
import type { Process } from "../journal/journal.js";
import type { JournalRecord } from "../journal/records.js";
import type { Kernel } from "../kernel.js";
import { pagesOf } from "../mm/quota.js";
import { HANDLES } from "./births.js";
import { type Asker, type Capability, capabilityOf } from "./check.js";
import { RIGHTS, showObject } from "./rights.js";

/** A message carries no more handles than this. */
const HANDLES_EACH = 64;

export interface Transfer {
  /** To append with the message. */
  readonly records: readonly JournalRecord[];
  /** The receiver's numbers, in the order of the sender's. */
  readonly handles: readonly number[];
}

/**
 * What moves `handles` of the asker to another process. Each needs the right to grant.
 * EBADF, EPERM, EINVAL (twice the same), EBUSY, EMFILE, EDQUOT.
 */
export function transfer(
  kernel: Pick<Kernel, "life" | "quotas">,
  asker: Asker,
  handles: readonly number[],
  to: Process,
): Transfer {
  if (handles.length === 0) return { records: [], handles: [] };
  if (handles.length > HANDLES_EACH || new Set(handles).size < handles.length) {
    const message = `a message carries at most ${HANDLES_EACH} handles, each once`;
    throw new ContixError("EINVAL", message, AT_HANDLES);
  }
  if (to.handles.size + handles.length > HANDLES) {
    const message = `process ${showId(to.pid)} has ${to.handles.size} handles, and can have ${HANDLES}`;
    throw new ContixError("EMFILE", message, AT_HANDLES);
  }
  const capabilities = handles.map((handle) => capabilityOf(asker, handle, "handles"));
  const given = capabilities.map((capability, i) => {
    return give(kernel, asker, capability, to, to.nextHandle + i);
  });
  return { records: given, handles: handles.map((_, i) => to.nextHandle + i) };
}

const AT_HANDLES = { argument: "handles" };

function give(
  { life, quotas }: Pick<Kernel, "life" | "quotas">,
  { state }: Asker,
  { id, object, rights }: Capability,
  to: Process,
  handle: number,
): JournalRecord {
  if ((rights & RIGHTS.grant) === 0) {
    const message = `the right to grant is missing on ${showObject(object)}, so its handle can not be sent`;
    throw new ContixError("EPERM", message, AT_HANDLES);
  }
  const context = object.type === "context" ? state.contexts.get(BigInt(object.id)) : undefined;
  if (context?.cap !== id) return { type: "cap.moved", id, holder: to.pid, handle };
  if (to.principal !== context.principal) {
    const message = `${showObject(object)} is ${context.principal}'s and the receiver ${to.principal}'s: grant a handle on it instead`;
    throw new ContixError("EPERM", message, AT_HANDLES);
  }
  // Not while a call of the sender's is at work on it.
  life.lock(context)[Symbol.dispose]();
  const { length } = context.tokens;
  const pinnedPages = context.pinned ? pagesOf(length) : 0;
  if (to.pid !== context.owner) {
    quotas.checkProcess(to, { contexts: 1, tokens: length, pinnedPages });
  }
  return { type: "ctx.moved", cid: context.cid, owner: to.pid, handle };
}

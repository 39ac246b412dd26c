/** The capabilities that a process is born with, and those that it is passed later. */
import { ContixError } from "../../proto/errno.js";
import type { PassedHandle } from "../../proto/gen/contix/v1/calls.js";
import type { CapRecord } from "../journal/fold-caps.js";
import type { Process } from "../journal/journal.js";
import { type Asker, type Capability, capabilityOf, isExpired } from "./check.js";
import { ALL_RIGHTS, RIGHTS, showObject, showRights } from "./rights.js";
import { reachOf } from "./scopes.js";

/** A capability for a process that is about to be born: without its id, holder and handle. */
export type Gift = Omit<
  Extract<CapRecord, { type: "cap.made" }>,
  "type" | "id" | "holder" | "handle"
>;

/** More than this a process does not hold. */
export const HANDLES = 4096;

/** What whoever attaches from outside has: its namespace. */
export function namespaceGift(principal: string, scopes: readonly string[]): Gift {
  const object = { type: "principal", id: reachOf(principal, scopes) } as const;
  return { parent: 0n, object, rights: ALL_RIGHTS };
}

/**
 * What a spawned process has: its parent's namespaces, unless it is in a sandbox, and
 * weaker copies of the handles that its parent passes on. EBADF, EPERM, EINVAL.
 */
export function spawnGifts(
  asker: Asker,
  passed: readonly PassedHandle[],
  sandbox: boolean,
): Gift[] {
  if (passed.length > HANDLES / 2) {
    const message = `${passed.length} handles are passed on; at most ${HANDLES / 2}`;
    throw new ContixError("EINVAL", message, { argument: "capabilities" });
  }
  return [
    ...(sandbox ? [] : inherited(asker)),
    ...passed.map(({ handle, rights, outlives }) => {
      const from = capabilityOf(asker, handle, "capabilities");
      return { ...copyOf(from, rights, "capabilities"), outlives };
    }),
  ];
}

/** A copy of a capability with no more rights than it has; 0: all of them. EPERM, EINVAL. */
export function copyOf(from: Capability, rights: number, argument = "rights"): Gift {
  if (rights > ALL_RIGHTS) {
    const message = `rights is ${rights}; a mask of read 1, write 2, call 4, signal 8, grant 16, admin 32`;
    throw new ContixError("EINVAL", message, { argument });
  }
  const { object, expires, ask, id } = from;
  if ((from.rights & RIGHTS.grant) === 0) {
    const message = `the right to grant is missing on ${showObject(object)}; held: ${showRights(from.rights)}`;
    throw new ContixError("EPERM", message, { argument });
  }
  const more = rights & ~from.rights;
  if (more !== 0) {
    const message = `the right to ${showRights(more)} on ${showObject(object)} is not the caller's to give; held: ${showRights(from.rights)}`;
    throw new ContixError("EPERM", message, { argument });
  }
  return {
    parent: id,
    object: { ...object },
    rights: rights === 0 ? from.rights : rights,
    expires,
    ask,
  };
}

/** The first of so many handles more for a process. EMFILE when it would have more than it may. */
export function nextHandle({ handles, nextHandle: next }: Process, more = 1): number {
  if (handles.size + more <= HANDLES) return next;
  const message = `the process has ${handles.size} handles; at most ${HANDLES}`;
  throw new ContixError("EMFILE", message);
}

/** An agent that was started to go on without its parent keeps its namespace. */
function inherited({ state, process, now }: Asker): Gift[] {
  const gifts: Gift[] = [];
  for (const id of process.namespaces) {
    const capability = state.caps.get(id);
    if (!capability || isExpired(capability, now)) continue;
    const { object, rights, expires, ask } = capability;
    gifts.push({ parent: id, object: { ...object }, rights, expires, ask, outlives: true });
  }
  return gifts;
}

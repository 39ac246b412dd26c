/**
 * How objects are found by the names that calls use, and whose they are. An object that
 * belongs to no principal (a model) is in every namespace.
 */
import type { Errno } from "../../proto/errno.js";
import { showId } from "../ids.js";
import { type IpcType, nameKey } from "../journal/fold-ipc.js";
import type { Process, ReadonlyState } from "../journal/journal.js";
import type { ObjectRef, ObjectType } from "./rights.js";

export interface Found {
  readonly object: ObjectRef;
  /** undefined: nobody's. */
  readonly principal: string | undefined;
}

export interface Finder {
  /** Undefined when there is no such object. `id` is what the call named it by. */
  readonly find: (state: ReadonlyState, caller: Process, id: bigint | string) => Found | undefined;
  readonly missing: Errno;
}

function process(state: ReadonlyState, _: Process, id: bigint | string): Found | undefined {
  const found = typeof id === "bigint" ? state.processes.get(id) : undefined;
  // A guest is ruled where it lives.
  if (!found || found.exit || found.guest) return undefined;
  return { object: { type: "process", id }, principal: found.principal };
}

/** A context that lives for one call is that call's alone. */
function context(state: ReadonlyState, _: Process, id: bigint | string): Found | undefined {
  const found = typeof id === "bigint" ? state.contexts.get(id) : undefined;
  if (!found || found.cap === 0n) return undefined;
  return { object: { type: "context", id }, principal: found.principal };
}

function principal(_: ReadonlyState, caller: Process, id: bigint | string): Found | undefined {
  if (typeof id !== "string") return undefined;
  const name = id === "" ? caller.principal : id;
  return { object: { type: "principal", id: name }, principal: name };
}

/** Mailboxes and the like: by their id, or by their name in the caller's namespace. */
function ipc(type: IpcType): Finder {
  return {
    missing: "ENOENT",
    find: ({ ipc }, caller, id) => {
      const known =
        typeof id === "bigint" ? id : ipc.names.get(nameKey(caller.principal, type, id));
      const found = ipc.objects.get(known ?? 0n);
      if (found?.type !== type) return undefined;
      return { object: { type, id: found.id }, principal: found.principal };
    },
  };
}

/** Things that belong to a principal by their name: each principal has names of its own. */
function named(type: ObjectType): Finder {
  return {
    missing: "ENOENT",
    find: (_, { principal: owner }, id) => {
      if (typeof id !== "string") return undefined;
      return { object: { type, id: `${owner}/${id}` }, principal: owner };
    },
  };
}

export const FINDERS: Readonly<Record<ObjectType, Finder>> = {
  process: { find: process, missing: "ESRCH" },
  context: { find: context, missing: "ENOENT" },
  principal: { find: principal, missing: "ENOENT" },
  model: {
    find: (_, __, id) => ({ object: { type: "model", id }, principal: undefined }),
    missing: "EMODEL",
  },
  mailbox: ipc("mailbox"),
  topic: ipc("topic"),
  pipe: ipc("pipe"),
  lock: ipc("lock"),
  barrier: ipc("barrier"),
  schedule: named("schedule"),
};

/** `n1.17` or a name, as a message says it. */
export function showName(id: bigint | string): string {
  return typeof id === "bigint" ? showId(id) : `"${id}"`;
}

/**
 * The one check of rights, for every row of the syscall table: the handle, then what it
 * names, then the rights, in that order. After the way of Zircon's handle table.
 *
 * A call that names its object by an id has no handle for it. It goes through the
 * process's namespaces: capabilities on a principal, which stand for everything that is
 * that principal's. A process without one reaches only what it has handles for, and
 * learns of nothing else whether it exists.
 */
import { ContixError } from "../../proto/errno.js";
import { nodeOf } from "../ids.js";
import type { Process, ReadonlyState } from "../journal/journal.js";
import type { Access, Demand, OnNothing, OnObject } from "./access.js";
import { FINDERS, type Found, showName } from "./objects.js";
import {
  EVERYONE,
  type ObjectRef,
  type ObjectType,
  RIGHTS,
  showObject,
  showRights,
} from "./rights.js";

export type Capability = ReadonlyState["caps"] extends ReadonlyMap<bigint, infer C> ? C : never;

/** An object that a call may use, by a capability that its process holds. */
export interface Use {
  readonly object: ObjectRef;
  readonly capability: Capability;
  /** The rights that the call needs. */
  readonly rights: number;
}

export interface Asker {
  readonly state: ReadonlyState;
  readonly process: Process;
  /** The kernel's clock: capabilities expire. */
  readonly now: number;
}

/** A call, as far as its rights go. */
export interface Claim {
  readonly name: string;
  readonly handle: number;
  readonly args: Readonly<Record<string, unknown>>;
}

/** What the call is on: its object, and the second one if it names one. EBADF, EPERM, ENOENT, ESRCH. */
export function authorize(asker: Asker, access: Access, claim: Claim): Use[] {
  const { name, handle } = claim;
  if (access.object === "none") {
    if (handle === 0) return [];
    throw new ContixError("EINVAL", `${name} takes no handle`, { argument: "handle" });
  }
  const { instead, also } = access;
  if (handle === 0 && instead?.object === "none") return [];
  const uses = [
    handle === 0
      ? byName(asker, somethingOf(instead) ?? access, claim)
      : byHandle(asker, access, claim),
  ];
  if (also && !isNone(claim.args[also.id])) uses.push(byName(asker, also, claim));
  return uses;
}

/** The capability that a handle of the process names. EBADF: none, revoked, or expired and not yet taken back. */
export function capabilityOf(
  { state, process, now }: Asker,
  handle: number,
  argument = "handle",
): Capability {
  const capability = state.caps.get(process.handles.get(handle) ?? 0n);
  if (!capability) {
    const message = `handle ${handle} is not open in this process: it was closed or revoked, it has expired, or it was never there`;
    throw new ContixError("EBADF", message, { argument });
  }
  if (isExpired(capability, now)) {
    const message = `handle ${handle}, on ${showObject(capability.object)}, has expired`;
    throw new ContixError("EBADF", message, { argument });
  }
  return capability;
}

/** Whether a namespace of the process shows it what is `principal`'s. */
export function sees(asker: Asker, principal: string): boolean {
  return namespaces(asker).some((cap) => covers(cap, principal) && has(cap, RIGHTS.read));
}

/** An object by its name, through a namespace that gives `rights` to it. EPERM, ENOENT, ESRCH. */
export function throughNamespace(
  asker: Asker,
  demand: Pick<Demand, "rights" | "anywhere"> & { readonly object: ObjectType },
  id: bigint | string,
  argument: string,
): Use {
  const { state, process } = asker;
  const { object: type, rights } = demand;
  const open = namespaces(asker);
  const what = type === "model" && id === "" ? "the default model" : `${type} ${showName(id)}`;
  if (open.length === 0) {
    const message = `this process has no namespace: it reaches only what it has handles for, and ${what} is named by its id`;
    throw new ContixError("EPERM", message, { argument });
  }
  const { find, missing } = FINDERS[type];
  const found = find(state, process, id) ?? elsewhere(asker, demand, id);
  if (!found) {
    const message = `there is no ${type === "process" ? "running process" : type} ${showName(id)}`;
    throw new ContixError(missing, message, { argument });
  }
  const over = open.filter((cap) => covers(cap, found.principal));
  if (over.length === 0) {
    throw new ContixError("EPERM", `${what} belongs to another principal`, { argument });
  }
  const capability = over.find((cap) => has(cap, rights)) ?? over[0];
  if (!capability || !has(capability, rights))
    throw lacks(found, capability?.rights ?? 0, rights, argument);
  return { object: found.object, capability, rights };
}

/** A process of another kernel, which knows whether it is there and whose it is. */
function elsewhere(
  { process: { pid } }: Asker,
  { anywhere }: Pick<Demand, "anywhere">,
  id: bigint | string,
): Found | undefined {
  const node = typeof id === "bigint" ? nodeOf(id) : 0;
  if (!anywhere || node === 0 || node === nodeOf(pid)) return undefined;
  return { object: { type: "process", id }, principal: undefined };
}

/** Whether the process may do that with another: by a handle on it, or by its id. */
export function reaches(asker: Asker, pid: bigint, rights: number): boolean {
  const { state, process, now } = asker;
  for (const id of process.handles.values()) {
    const capability = state.caps.get(id);
    if (capability?.object.type !== "process" || capability.object.id !== pid) continue;
    if (!isExpired(capability, now) && has(capability, rights)) return true;
  }
  const principal = state.processes.get(pid)?.principal;
  return namespaces(asker).some((cap) => covers(cap, principal) && has(cap, rights));
}

function somethingOf(demand: Demand | OnNothing | undefined): Demand | undefined {
  return demand && "id" in demand ? demand : undefined;
}

function byHandle(asker: Asker, access: OnObject, claim: Claim): Use {
  const { handle, name } = claim;
  const capability = capabilityOf(asker, handle);
  const { object } = capability;
  const demand = [access, somethingOf(access.instead)].find(
    (wanted) => wanted?.object === object.type || wanted?.object === "any",
  );
  if (!demand) {
    const message = `handle ${handle} is a ${object.type}; ${name} takes a ${access.object}`;
    throw new ContixError("EBADF", message, { argument: "handle" });
  }
  if (!has(capability, demand.rights)) {
    throw lacks({ object }, capability.rights, demand.rights, "handle");
  }
  if (demand.object === "principal") checkNamespace(asker, capability, demand);
  if (!isThere(asker.state, object)) {
    const { missing } = FINDERS[object.type];
    throw new ContixError(missing, `${showObject(object)} is over`, { argument: "handle" });
  }
  return { object, capability, rights: demand.rights };
}

function byName(asker: Asker, demand: Demand, { name, args }: Claim): Use {
  const { id: by, object: type } = demand;
  if (by === "namespace" || by === "everyone") return ownNamespace(asker, demand, name);
  const id = by === "handle" ? undefined : args[by];
  // A model without a name is the default one.
  const named = typeof id === "bigint" || typeof id === "string";
  if (!named || type === "any" || (type !== "model" && type !== "process" && isNone(id))) {
    const message = `${name} needs a handle${type === "any" ? "" : ` on a ${type}`}`;
    throw new ContixError("EBADF", message, { argument: "handle" });
  }
  return throughNamespace(asker, { ...demand, object: type }, id, by);
}

/** The caller's own namespace, or, where the call is on everything there is, an administrator's. */
function ownNamespace(asker: Asker, { id, rights }: Demand, name: string): Use {
  const wanted = id === "everyone" ? EVERYONE : asker.process.principal;
  const own = namespaces(asker).filter((cap) => covers(cap, wanted));
  const capability = own.find((cap) => has(cap, rights)) ?? own[0];
  const object = { type: "principal" as const, id: wanted };
  if (!capability) {
    const whose = id === "everyone" ? "an administrator's namespace" : `the namespace of ${wanted}`;
    const message = `${name} needs ${whose}, which this process was not given`;
    throw new ContixError("EPERM", message, { argument: "handle" });
  }
  if (!has(capability, rights)) throw lacks({ object }, capability.rights, rights, "handle");
  return { object: capability.object, capability, rights };
}

/** A handle on a namespace serves for the caller's own: what a call makes there is the caller's. */
function checkNamespace({ process }: Asker, capability: Capability, { id }: Demand): void {
  if (covers(capability, id === "everyone" ? EVERYONE : process.principal)) return;
  const message = `the handle is on ${showObject(capability.object)}; this call is on ${id === "everyone" ? "everything" : process.principal}`;
  throw new ContixError("EPERM", message, { argument: "handle" });
}

function namespaces({ state, process, now }: Asker): Capability[] {
  const open: Capability[] = [];
  for (const id of process.namespaces) {
    const capability = state.caps.get(id);
    if (capability && !isExpired(capability, now)) open.push(capability);
  }
  return open;
}

/** Whether the namespace has what is `principal`'s in it; undefined: what is nobody's. */
function covers({ object }: Capability, principal: string | undefined): boolean {
  return object.id === EVERYONE || principal === undefined || object.id === principal;
}

function isThere(state: ReadonlyState, { type, id }: ObjectRef): boolean {
  if (type !== "process") return true;
  const process = typeof id === "bigint" ? state.processes.get(id) : undefined;
  return process !== undefined && !process.exit;
}

export function isExpired({ expires }: Pick<Capability, "expires">, now: number): boolean {
  return expires !== 0 && now >= expires;
}

function has({ rights }: Pick<Capability, "rights">, wanted: number): boolean {
  return (rights & wanted) === wanted;
}

function lacks(
  { object }: Pick<Found, "object">,
  held: number,
  wanted: number,
  argument: string,
): ContixError {
  const message = `the right to ${showRights(wanted & ~held)} is missing on ${showObject(object)}; held: ${showRights(held)}`;
  return new ContixError("EPERM", message, { argument });
}

function isNone(id: unknown): boolean {
  return id === undefined || id === 0n || id === "";
}

/**
 * The fold's part for capabilities. All of them are nodes of one forest: the root of an
 * object's tree comes with the object, and `grant` makes a child of what the granter
 * holds, with no right that it has not. A process's handle names a node, and is never
 * used twice.
 *
 * Three things end nodes. `revoke` takes a node back with everything below it. Closing a
 * handle (its process's death closes all) does the same, but what was granted to outlive
 * the granter moves up to the granter's own granter. And when an object is gone, all
 * nodes that name it are.
 */
import type { ObjectRef } from "../cap/rights.js";
import { forgetUnnamed } from "./fold-ipc.js";
import type { ProcessState, State } from "./state.js";

/** Who is asked before a call through a capability, and for how long: no answer is a no. */
export interface AskRule {
  /** A principal's name, or "" where a process is asked. */
  readonly principal: string;
  readonly pid: bigint;
  readonly timeoutUs: number;
}

export interface CapabilityState {
  readonly id: bigint;
  /** 0: a root. */
  parent: bigint;
  /** The process that holds it; 0: nobody (a context that is kept). */
  holder: bigint;
  handle: number;
  readonly object: ObjectRef;
  readonly rights: number;
  readonly ask: AskRule | undefined;
  /** On the kernel's clock, microseconds; 0: never. */
  readonly expires: number;
  /** It stays when who granted it closes or dies. */
  readonly outlives: boolean;
  readonly children: Set<bigint>;
}

export type CapRecord =
  | {
      type: "cap.made";
      id: bigint;
      parent: bigint;
      holder: bigint;
      handle: number;
      object: ObjectRef;
      rights: number;
      ask?: AskRule | undefined;
      expires?: number;
      outlives?: boolean;
    }
  /** To another process, with all below it; the former handle is gone. */
  | { type: "cap.moved"; id: bigint; holder: bigint; handle: number }
  /** With everything below it; `self` false: only what is below. */
  | { type: "cap.revoked"; id: bigint; self: boolean }
  /** Its holder no longer wants it. */
  | { type: "cap.closed"; id: bigint }
  /** The object is gone. */
  | { type: "cap.gone"; object: ObjectRef };

export function applyCap(state: State, record: CapRecord): void {
  if (record.type === "cap.made") {
    makeCap(state, record);
    return;
  }
  if (record.type === "cap.gone") {
    endObject(state, record.object);
    return;
  }
  const cap = state.caps.get(record.id);
  if (!cap) return;
  if (record.type === "cap.moved") moveCap(state, cap, record.holder, record.handle);
  else if (record.type === "cap.closed") closeCap(state, cap);
  else {
    for (const child of [...cap.children]) endTree(state, child);
    if (record.self) endTree(state, cap.id);
  }
}

/** Adds a node. One whose parent is gone is not made: it was revoked before it came to be. */
export function makeCap(
  state: State,
  record: Omit<Extract<CapRecord, { type: "cap.made" }>, "type">,
): void {
  const { id, parent, holder, handle, object, rights, ask, expires = 0, outlives = false } = record;
  state.counters.cap = Math.max(state.counters.cap, Number(id));
  const above = state.caps.get(parent);
  if (parent !== 0n && !above) return;
  above?.children.add(id);
  const children = new Set<bigint>();
  const node = { id, parent, holder, handle, object, rights, ask, expires, outlives, children };
  state.caps.set(id, node);
  const key = objectKey(object);
  const known = state.capsOn.get(key) ?? new Set();
  state.capsOn.set(key, known.add(id));
  hold(state, node);
}

export function moveCap(state: State, cap: CapabilityState, holder: bigint, handle: number): void {
  letGo(state, cap);
  cap.holder = holder;
  cap.handle = handle;
  hold(state, cap);
}

/** The process is over: what it held is closed. */
export function closeAllCaps(state: State, process: ProcessState): void {
  for (const id of [...process.handles.values()]) {
    const cap = state.caps.get(id);
    if (cap) closeCap(state, cap);
  }
}

/** The object is gone, and with it whatever names it. */
export function endObject(state: State, object: ObjectRef): void {
  for (const id of [...(state.capsOn.get(objectKey(object)) ?? [])]) endTree(state, id);
}

export function objectKey({ type, id }: ObjectRef): string {
  return `${type} ${id}`;
}

function closeCap(state: State, cap: CapabilityState): void {
  for (const id of [...cap.children]) {
    const child = state.caps.get(id);
    if (!child?.outlives) continue;
    cap.children.delete(id);
    child.parent = cap.parent;
    state.caps.get(cap.parent)?.children.add(id);
  }
  endTree(state, cap.id);
}

/** Without recursion: a chain of grants may be longer than the stack. */
function endTree(state: State, root: bigint): void {
  const open = [root];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const cap = state.caps.get(id);
    if (!cap) continue;
    open.push(...cap.children);
    state.caps.delete(id);
    state.caps.get(cap.parent)?.children.delete(id);
    const key = objectKey(cap.object);
    const known = state.capsOn.get(key);
    known?.delete(id);
    if (known?.size === 0) {
      state.capsOn.delete(key);
      forgetUnnamed(state.ipc, cap.object.id);
    }
    letGo(state, cap);
  }
}

function hold(state: State, { id, holder, handle, object }: CapabilityState): void {
  const process = state.processes.get(holder);
  if (!process || handle === 0) return;
  process.handles.set(handle, id);
  process.nextHandle = Math.max(process.nextHandle, handle + 1);
  if (object.type === "principal") process.namespaces.add(id);
}

function letGo(state: State, { id, holder, handle }: CapabilityState): void {
  const process = state.processes.get(holder);
  process?.handles.delete(handle);
  process?.namespaces.delete(id);
}

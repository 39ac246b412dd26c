/**
 * The one check of a handle: does it exist in this process, is the object of the
 * wanted type, does the process have the right? In that order.
 */
import { ContixError } from "../../proto/errno.js";
import { showId } from "../ids.js";
import type { Context, Process, ReadonlyState } from "../journal/journal.js";

/** Resolves a context handle. EBADF: no such handle in this process. */
export function useContext(state: ReadonlyState, process: Process, handle: number): Context {
  const cid = process.handles.get(handle);
  const context = cid === undefined ? undefined : state.contexts.get(cid);
  if (!context) {
    throw new ContixError("EBADF", `handle ${handle} is no open context of this process`, {
      argument: "handle",
    });
  }
  return context;
}

/**
 * A context by its id: a process may name those of its own principal, an admin every
 * one. One that lives for a single call is that call's alone. ENOENT and EPERM.
 */
export function useContextById(state: ReadonlyState, caller: Process, cid: bigint): Context {
  const context = state.contexts.get(cid);
  if (!context || (context.owner !== 0n && context.handle === 0)) {
    throw new ContixError("ENOENT", `there is no context ${showId(cid)}`, { argument: "cid" });
  }
  if (context.principal !== caller.principal && caller.principal !== "admin") {
    const message = `context ${showId(cid)} belongs to another principal`;
    throw new ContixError("EPERM", message, { argument: "cid" });
  }
  return context;
}

/** A process may act on another of its own principal; admin on every one. ESRCH and EPERM. */
export function useProcess(
  state: ReadonlyState,
  caller: Process,
  pid: bigint,
  show: string,
): Process {
  const target = state.processes.get(pid);
  if (!target || target.exit) {
    throw new ContixError("ESRCH", `there is no running process ${show}`, { argument: "pid" });
  }
  if (target.principal !== caller.principal && caller.principal !== "admin") {
    throw new ContixError("EPERM", `process ${show} belongs to another principal`, {
      argument: "pid",
    });
  }
  return target;
}

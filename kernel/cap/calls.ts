/** The cap syscalls: handles are made weaker, passed on, taken back, closed and listed. */
import { ContixError } from "../../proto/errno.js";
import type { AskFirst, HandleInfo } from "../../proto/gen/contix/v1/cap.js";
import { argumentsOf } from "../args.js";
import type { Call } from "../call.js";
import type { AskRule } from "../journal/fold-caps.js";
import type { Kernel } from "../kernel.js";
import { copyOf, nextHandle } from "./births.js";
import { type Asker, type Capability, isExpired, throughNamespace } from "./check.js";
import { ALL_RIGHTS, type ObjectType } from "./rights.js";
import { theTarget } from "./target.js";

/** How long somebody who is asked may think, when nobody says: microseconds. */
const ASK_US = 60_000_000;

export function grant(kernel: Kernel, call: Call): void {
  const { rights, ttlUs, outlives, ask } = argumentsOf(call, "capGrant");
  const { state } = kernel.journal;
  const from = theCapability(call);
  const to = theTarget(call);
  const copy = copyOf(from, rights);
  const expires = earliest(copy.expires ?? 0, ttlUs, kernel.clock.now());
  const handle = nextHandle(to);
  const id = BigInt(state.counters.cap + 1);
  const rule = ask ? ownRule(ask, copy.ask) : copy.ask;
  call.done({ $case: "capGrant", value: { handle, id } }, [
    { type: "cap.made", ...copy, id, holder: to.pid, handle, expires, outlives, ask: rule },
  ]);
}

export function revoke(kernel: Kernel, call: Call): void {
  const { id } = argumentsOf(call, "capRevoke");
  const { caps } = kernel.journal.state;
  const from = theCapability(call);
  if (id !== 0n && !isBelow(caps, id, from.id)) {
    const message = `${id} was not granted from this handle, or is revoked already`;
    throw new ContixError("ENOENT", message, { argument: "id" });
  }
  const top = caps.get(id) ?? from;
  const revoked = countBelow(caps, top) + (id === 0n ? 0 : 1);
  call.done({ $case: "capRevoke", value: { revoked } }, [
    { type: "cap.revoked", id: top.id, self: id !== 0n },
  ]);
  // What was under way through them ends too.
  kernel.trap.recheck();
}

export function close(kernel: Kernel, call: Call): void {
  const { id, object } = theCapability(call);
  const context =
    object.type === "context" ? kernel.journal.state.contexts.get(BigInt(object.id)) : undefined;
  if (context?.cap === id) {
    const message =
      "this process owns the context: close it by ctx.close, or give it away by ctx.give";
    throw new ContixError("EBUSY", message, { argument: "handle" });
  }
  call.done({ $case: "capClose", value: {} }, [{ type: "cap.closed", id }]);
  kernel.trap.recheck();
}

/** A handle on what a namespace of the caller has in it: the one row whose object its arguments say. */
export function open(kernel: Kernel, call: Call): void {
  const args = argumentsOf(call, "capOpen");
  const type = typeOf(args.object);
  if (args.rights > ALL_RIGHTS) {
    throw new ContixError("EINVAL", `rights is ${args.rights}; at most ${ALL_RIGHTS}`, {
      argument: "rights",
    });
  }
  const byId = type === "process" || type === "context";
  const name = byId ? args.id : args.name;
  const asker = askerOf(kernel, call);
  const demand = { object: type, rights: args.rights };
  const { capability, object } = throughNamespace(asker, demand, name, byId ? "id" : "name");
  const rights = args.rights === 0 ? capability.rights : args.rights;
  const handle = nextHandle(call.process);
  const { id: parent, expires, ask } = capability;
  const id = BigInt(kernel.journal.state.counters.cap + 1);
  const made = { parent, object, rights, expires, ask, holder: call.process.pid, handle };
  call.done({ $case: "capOpen", value: { handle, rights } }, [{ type: "cap.made", id, ...made }]);
}

export function list(kernel: Kernel, call: Call): void {
  const { caps } = kernel.journal.state;
  const now = kernel.clock.now();
  const handles: HandleInfo[] = [];
  for (const id of call.process.handles.values()) {
    const capability = caps.get(id);
    if (capability && !isExpired(capability, now)) handles.push(describe(caps, capability, now));
  }
  call.done({ $case: "capList", value: { handles } });
}

export function askerOf({ journal, clock }: Pick<Kernel, "journal" | "clock">, call: Call): Asker {
  return { state: journal.state, process: call.process, now: clock.now() };
}

function theCapability(call: Call): Capability {
  const [use] = call.uses;
  if (!use) throw new ContixError("EBADF", "the call needs a handle", { argument: "handle" });
  return use.capability;
}

type Caps = ReadonlyMap<bigint, Capability>;

function isBelow(caps: Caps, id: bigint, top: bigint): boolean {
  for (let at = caps.get(id)?.parent; at !== undefined; at = caps.get(at)?.parent) {
    if (at === top) return true;
  }
  return false;
}

function countBelow(caps: Caps, top: Capability): number {
  let count = 0;
  const open = [...top.children];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    count++;
    open.push(...(caps.get(id)?.children ?? []));
  }
  return count;
}

function describe(caps: Caps, capability: Capability, now: number): HandleInfo {
  const { handle, object, rights, expires, ask, children } = capability;
  const granted = [...children].flatMap((id) => {
    const child = caps.get(id);
    if (!child) return [];
    return [{ id, pid: child.holder, handle: child.handle, rights: child.rights }];
  });
  const { id } = object;
  return {
    handle,
    object: object.type,
    id: typeof id === "bigint" ? id : 0n,
    name: typeof id === "bigint" ? "" : id,
    rights,
    expiresUs: BigInt(expires === 0 ? 0 : expires - now),
    ask: ask && { principal: ask.principal, pid: ask.pid, timeoutUs: BigInt(ask.timeoutUs) },
    granted,
  };
}

/** The end of what `ttlUs` limits further; 0: never. */
function earliest(expires: number, ttlUs: bigint, now: number): number {
  if (ttlUs === 0n) return expires;
  const end = now + Number(ttlUs);
  return expires === 0 ? end : Math.min(expires, end);
}

/** EPERM: whoever is asked by the handle would not be asked by the copy. */
function ownRule(ask: AskFirst, held: Readonly<AskRule> | undefined): AskRule {
  if (!held) return askRule(ask);
  const message =
    "calls through this handle ask first, and those through a copy ask the same: it can have no rule of its own";
  throw new ContixError("EPERM", message, { argument: "ask" });
}

function askRule({ principal, pid, timeoutUs }: AskFirst): AskRule {
  if ((principal === "") === (pid === 0n)) {
    throw new ContixError("EINVAL", "ask names a principal or a process, one of them", {
      argument: "ask",
    });
  }
  return { principal, pid, timeoutUs: timeoutUs === 0n ? ASK_US : Number(timeoutUs) };
}

/** What can be opened by this call; what messages are made of has calls of its own. */
const OPENABLE = ["process", "context", "model", "principal"] as const;

function typeOf(text: string): ObjectType {
  const type = OPENABLE.find((known) => known === text);
  if (type) return type;
  const message = `object is "${text}"; one of ${OPENABLE.join(", ")}`;
  throw new ContixError("EINVAL", message, { argument: "object" });
}

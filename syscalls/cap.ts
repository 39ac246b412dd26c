/** `os.cap`: what this process may do, and what of it others may. */
import type { AskFirst as WireAsk, HandleInfo as WireHandle } from "../proto/gen/contix/v1/cap.js";
import { type ObjectType, RIGHTS, type Right } from "../proto/rights.js";
import { Asking } from "./ask.js";
import { checkCount, checkNumber, checkText } from "./check.js";
import { ConnectionError, SyscallError } from "./errors.js";
import { type Pid, readId, showId, showIdOrNull } from "./ids.js";
import { type CallOptions, request } from "./invoke.js";
import { toMs } from "./usage.js";
import type { Session } from "./wire/session.js";

export type { ObjectType, Right };

/** A handle: its number, or what has one (a context, a lock, a child). */
export type Held = number | { readonly handle: number };

/** Who is asked before a call through a handle: a principal or a process. No answer is a no. */
export type AskFirst = { readonly timeoutMs?: number | undefined } & (
  | { readonly principal: string }
  | { readonly pid: Pid }
);

export interface GrantOptions extends CallOptions {
  /** The process that gets it. */
  readonly to: Pid;
  /** Those of the handle by default; never more. */
  readonly rights?: readonly Right[] | undefined;
  /** It ends after so long; else with the handle that it was granted from. */
  readonly ttlMs?: number | undefined;
  /** It stays when this process closes its handle, or ends. */
  readonly outlives?: boolean | undefined;
  readonly ask?: AskFirst | undefined;
}

/** What was granted. */
export interface Grant {
  /** For `os.cap.revoke`. */
  readonly id: bigint;
  /** Its number in the receiver. */
  readonly handle: number;
}

/** A handle of this process, as `os.cap.list()` tells it. */
export interface HandleInfo {
  readonly handle: number;
  readonly object: ObjectType;
  /** `n1.4` for a process or a context, a name for anything else; the principal "*" is all. */
  readonly name: string;
  readonly rights: readonly Right[];
  /** Null: it does not expire. */
  readonly expiresMs: number | null;
  /** Who is asked before each call through it; null: nobody. */
  readonly ask: AskFirst | null;
  readonly granted: readonly {
    readonly id: bigint;
    readonly pid: Pid | null;
    readonly handle: number;
    readonly rights: readonly Right[];
  }[];
}

export class Capabilities {
  readonly #session: Session;
  /** Calls of others that wait for this process's word. */
  readonly ask: Asking;

  constructor(session: Session) {
    this.#session = session;
    this.ask = new Asking(session);
  }

  /** All handles of this process. */
  async list(options?: CallOptions): Promise<HandleInfo[]> {
    const { handles } = await request(this.#session, { name: "capList", args: {} }, options);
    return handles.map(toInfo);
  }

  /**
   * A handle on an object that a namespace of this process has in it: a process or a context
   * by its id, a model or a principal by its name.
   *
   * @example
   * await using me = await os.cap.open("process", os.pid, { rights: ["write", "grant"] });
   * await os.proc.spawn(["node", "child.js"], { sandbox: true, capabilities: [{ handle: me }] });
   */
  async open(
    object: "process" | "context" | "model" | "principal",
    name: string,
    options: CallOptions & { readonly rights?: readonly Right[] | undefined } = {},
  ): Promise<Handle> {
    const byId = object === "process" || object === "context";
    const args = {
      object: checkText("object", object),
      id: byId ? readId("name", name) : 0n,
      name: byId ? "" : checkText("name", name),
      rights: toRights(options.rights),
    };
    const opened = await request(this.#session, { name: "capOpen", args }, options);
    return new Handle(this, opened.handle);
  }

  /**
   * Gives another process a handle on the same object, with the same rights or fewer. EPERM:
   * this process's handle has not the right to grant, or not those rights, or asks somebody
   * first and `ask` is given: its copies ask the same.
   *
   * @example
   * const { id } = await os.cap.grant(ctx, { to: child.pid, rights: ["read"] });
   * await os.cap.revoke(ctx, id);
   */
  async grant(handle: Held, options: GrantOptions): Promise<Grant> {
    const { to, rights, ttlMs = 0, outlives = false, ask } = options;
    const args = {
      pid: readId("to", to),
      rights: toRights(rights),
      ttlUs: toMicroseconds("ttlMs", ttlMs),
      outlives,
      ask: ask === undefined ? undefined : toAsk(ask),
    };
    const call = { name: "capGrant" as const, handle: numberOf(handle), args };
    const { id, handle: theirs } = await request(this.#session, call, options);
    return { id, handle: theirs };
  }

  /**
   * Takes back what was granted from a handle, with everything that was granted on from
   * there: one grant, or all. The handle itself stays. @returns how many handles are no more
   */
  async revoke(handle: Held, grant = 0n, options?: CallOptions): Promise<number> {
    const call = { name: "capRevoke" as const, handle: numberOf(handle), args: { id: grant } };
    return (await request(this.#session, call, options)).revoked;
  }

  /** Gives a handle back; the object stays. What was granted from it ends with it. */
  async close(handle: Held, options?: CallOptions): Promise<void> {
    const call = { name: "capClose" as const, handle: numberOf(handle), args: {} };
    await request(this.#session, call, options);
  }
}

/** A handle that is closed when its block is left. */
export class Handle implements AsyncDisposable {
  readonly #cap: Capabilities;
  /** Its number in this process. */
  readonly handle: number;
  #closed = false;

  /** Made by `os.cap.open()`. */
  constructor(cap: Capabilities, handle: number) {
    this.#cap = cap;
    this.handle = handle;
  }

  /** Gives it back. Closing twice is fine. */
  async close(options?: CallOptions): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#cap.close(this.handle, options);
    } catch (error) {
      // Lost, passed on or taken back: it is closed, as was asked for.
      const gone = error instanceof SyscallError && error.code === "EBADF";
      if (!gone && !(error instanceof ConnectionError)) throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The number of a handle. */
export function numberOf(held: Held): number {
  return checkCount("handle", typeof held === "object" ? held.handle : held, 1);
}

/** The mask of the wire; none: all that there are to give. */
export function toRights(rights: readonly Right[] = []): number {
  return rights.reduce((mask, right) => {
    const bit = Object.hasOwn(RIGHTS, right) ? RIGHTS[right] : undefined;
    if (bit === undefined) {
      const known = Object.keys(RIGHTS).join(", ");
      throw new TypeError(`rights: expected some of ${known}; got ${String(right)}`);
    }
    return mask | bit;
  }, 0);
}

function fromRights(mask: number): Right[] {
  return (Object.keys(RIGHTS) as Right[]).filter((right) => (mask & RIGHTS[right]) !== 0);
}

function toAsk(ask: AskFirst) {
  return {
    principal: "principal" in ask ? checkText("ask.principal", ask.principal) : "",
    pid: "pid" in ask ? readId("ask.pid", ask.pid) : 0n,
    timeoutUs: toMicroseconds("ask.timeoutMs", ask.timeoutMs ?? 0),
  };
}

function fromAsk({ principal, pid, timeoutUs }: WireAsk): AskFirst {
  const timeoutMs = toMs(timeoutUs);
  return pid === 0n ? { principal, timeoutMs } : { pid: showId(pid), timeoutMs };
}

function toMicroseconds(argument: string, ms: number): bigint {
  const us = Math.round(checkNumber(argument, ms) * 1000);
  if (us < 0 || us > Number.MAX_SAFE_INTEGER) {
    throw new RangeError(`${argument}: expected 0 or more milliseconds, got ${ms}`);
  }
  return BigInt(us);
}

function toInfo({ handle, object, id, name, rights, ask, ...wire }: WireHandle): HandleInfo {
  const { expiresUs, granted } = wire;
  return {
    handle,
    object: object as ObjectType,
    name: id === 0n ? name : showId(id),
    rights: fromRights(rights),
    expiresMs: expiresUs === 0n ? null : toMs(expiresUs),
    ask: ask === undefined ? null : fromAsk(ask),
    granted: granted.map((grant) => ({
      ...grant,
      pid: showIdOrNull(grant.pid),
      rights: fromRights(grant.rights),
    })),
  };
}

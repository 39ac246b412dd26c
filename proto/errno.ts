/**
 * The errno table: every typed failure of the kernel and its servers, in one place.
 * `grpc` is the status a unary call ends with (numbers of google.rpc.Code);
 * `fix` tells the caller what to do.
 */
import type { Error as WireError } from "./gen/contix/v1/errno.js";

interface ErrnoRow {
  readonly number: number;
  readonly grpc: number;
  readonly retryable: boolean;
  readonly fix: string;
}

const row = (number: number, grpc: number, retryable: boolean, fix: string): ErrnoRow => ({
  number,
  grpc,
  retryable,
  fix,
});

/** Numbers follow Linux where Linux has the name; 200 and up are ours. */
export const ERRNO = {
  EPERM: row(1, 7, false, "ask the owner for a handle with that right"),
  ENOENT: row(2, 5, false, "check the name"),
  ESRCH: row(3, 5, false, "list processes with `contix ps`"),
  EIO: row(5, 14, true, "try again; if it stays, see the daemon's log"),
  E2BIG: row(7, 3, false, "make the argument smaller"),
  EBADF: row(9, 3, false, "use a handle that this process opened and has not closed"),
  ECHILD: row(10, 9, false, "wait only for your own children"),
  EAGAIN: row(11, 8, true, "try again after the given time"),
  ENOMEM: row(
    12,
    8,
    false,
    "shorten the context; when a model does not fit, raise the daemon's memoryBudget",
  ),
  EACCES: row(13, 16, false, "present a valid token"),
  EBUSY: row(16, 9, true, "wait until the object is idle"),
  EEXIST: row(17, 6, false, "use a fresh name"),
  EXDEV: row(18, 9, false, "restore it under the engine that made it"),
  EINVAL: row(22, 3, false, "correct the argument"),
  EMFILE: row(24, 8, false, "close what you no longer need"),
  ENOSPC: row(28, 8, false, "free disk space"),
  EPIPE: row(32, 9, false, "stop writing: nobody is left to read"),
  ENOSYS: row(38, 12, false, "use a newer kernel or another call"),
  EPROTO: row(71, 3, false, "speak the ABI of proto/contix/v1"),
  EMSGSIZE: row(90, 3, false, "send a smaller message"),
  EADDRINUSE: row(98, 9, false, "choose another address, or stop its user"),
  ESHUTDOWN: row(108, 14, true, "start the daemon again with `contix up`"),
  ETIMEDOUT: row(110, 4, true, "give the call more time"),
  ECANCELED: row(125, 1, false, "nothing: the call was cancelled"),
  EDQUOT: row(122, 8, false, "close what you no longer need, or raise the quota"),
  EUNKNOWN: row(200, 2, false, "find out whether the effect happened before trying again"),
  EMODEL: row(201, 9, false, "see `contix model ls`"),
} as const satisfies Record<string, ErrnoRow>;

export type Errno = keyof typeof ERRNO;

export function isErrno(name: string): name is Errno {
  return Object.hasOwn(ERRNO, name);
}

export interface ErrorDetail {
  /** The argument at fault, by its name in the ABI. */
  readonly argument?: string;
  /** With EAGAIN: when to try again, microseconds. */
  readonly retryAfterUs?: number;
}

/** A typed failure. The message says what was wrong and what would be right. */
export class ContixError extends Error {
  override readonly name = "ContixError";
  readonly code: Errno;
  readonly argument: string;
  readonly retryAfterUs: number;

  constructor(code: Errno, message: string, detail: ErrorDetail & ErrorOptions = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.argument = detail.argument ?? "";
    this.retryAfterUs = detail.retryAfterUs ?? 0;
  }

  get retryable(): boolean {
    return ERRNO[this.code].retryable;
  }
}

/** The wire form of any error; what is not typed becomes EIO without its internals. */
export function toWire(error: unknown): WireError {
  const e = error instanceof ContixError ? error : new ContixError("EIO", "internal error");
  return {
    errno: ERRNO[e.code].number,
    name: e.code,
    message: e.message,
    argument: e.argument,
    retryable: e.retryable,
    retryAfterUs: BigInt(e.retryAfterUs),
  };
}

/** The typed error for a wire error; an unknown name (a newer kernel's) becomes EIO. */
export function fromWire(wire: WireError): ContixError {
  const { name, message, argument } = wire;
  const detail = { argument, retryAfterUs: Number(wire.retryAfterUs) };
  if (isErrno(name)) return new ContixError(name, message, detail);
  return new ContixError("EIO", `${name}: ${message}`, detail);
}

/**
 * The two ways a call can fail. `SyscallError`: the kernel was asked and said
 * no. `ConnectionError`: the kernel could not be asked, or its answer was lost.
 */
import { ERRNO, type Errno, fromWire } from "../proto/errno.js";
import type { Error as WireError } from "../proto/gen/contix/v1/errno.js";

export type { Errno };

/**
 * The kernel's no, typed by `code` (an errno name such as "EAGAIN" or "EINVAL").
 * The message says which argument, what was wrong and what would be right.
 *
 * @example
 * try {
 *   await os.llm.generate(prompt);
 * } catch (error) {
 *   if (error instanceof SyscallError && error.code === "E2BIG") shorten(prompt);
 *   else throw error;
 * }
 */
export class SyscallError extends Error {
  override readonly name = "SyscallError";
  readonly code: Errno;
  /** The argument at fault, by its name in the ABI; "" when there is none. */
  readonly argument: string;
  /** With EAGAIN: when to try again, milliseconds; otherwise 0. */
  readonly retryAfterMs: number;

  constructor(
    code: Errno,
    message: string,
    detail: { readonly argument?: string; readonly retryAfterMs?: number } = {},
  ) {
    super(`${code}: ${message}`);
    this.code = code;
    this.argument = detail.argument ?? "";
    this.retryAfterMs = detail.retryAfterMs ?? 0;
  }

  /** Whether the same call may succeed later. */
  get retryable(): boolean {
    return ERRNO[this.code].retryable;
  }
}

/**
 * No kernel at the address, or the stream to it was lost. Whether a call that
 * was under way took effect is not known; reads can simply be made again.
 */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  /** Where the kernel is, or was. */
  readonly address: string;

  constructor(address: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.address = address;
  }
}

/** The typed error for a wire error; a name that only a newer kernel knows becomes EIO. */
export function syscallError(wire: WireError): SyscallError {
  const known = fromWire(wire);
  return new SyscallError(known.code, known.message, {
    argument: known.argument,
    retryAfterMs: known.retryAfterUs / 1000,
  });
}

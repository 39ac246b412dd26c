/** The audit: everything that was denied, and everything that changes something, with its result. */
import type { Errno } from "../../proto/errno.js";

export interface AuditEntry {
  /** Wall time, milliseconds. */
  readonly at: number;
  readonly principal: string;
  /** 0: nobody who is attached. */
  readonly pid: bigint;
  readonly run: number;
  readonly seq: bigint;
  /** The row's name, `ctx.append`; `attach` for a token that was refused. */
  readonly call: string;
  /** What the call was on, `context n1.3`; "" when it names nothing. */
  readonly object: string;
  readonly handle: number;
  readonly result: "ok" | Errno;
  /** For a denial: why. */
  readonly reason: string;
  /** The digest of the call's payload, where there is one. */
  readonly digest?: string;
}

export interface Audit {
  record(entry: AuditEntry): void;
  /**
   * Throws when a call that changes something could not be recorded: ENOSPC, EIO, EAGAIN. One
   * of process `taking`, which only takes away, need not be recorded yet: its reply waits
   * until it is. EAGAIN when too many of these wait.
   */
  admit(taking?: bigint): void;
  /** Resolves when everything recorded so far is durable: what is acknowledged waits for this. */
  sync(): Promise<void>;
}

/** What every object of `os.ipc` has in common: it is held by a handle until it is closed. */
import { ConnectionError, SyscallError } from "./errors.js";
import { type CallOptions, request } from "./invoke.js";
import type { Session } from "./wire/session.js";

/** An object that this process holds. Closing it gives the handle back; the end of the process does too. */
export abstract class IpcHandle implements AsyncDisposable {
  protected readonly session: Session;
  /** Its number in this process: what `handles` of a message takes. */
  readonly handle: number;
  #closed = false;

  constructor(session: Session, handle: number) {
    this.session = session;
    this.handle = handle;
  }

  /** Gives it back. Closing twice is fine. */
  async close(options?: CallOptions): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await request(this.session, { name: "capClose", handle: this.handle, args: {} }, options);
    } catch (error) {
      // A lost process has no handles any more, and one that was passed on, revoked or
      // whose object was removed is closed: that is what was asked for.
      const gone = error instanceof SyscallError && error.code === "EBADF";
      if (!gone && !(error instanceof ConnectionError)) throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The bytes of a body: text goes as UTF-8. */
export function toText(body: Uint8Array): string {
  return new TextDecoder().decode(body);
}

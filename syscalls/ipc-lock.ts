/** Locks and barriers. */
import { ConnectionError, SyscallError } from "./errors.js";
import { type CallOptions, request } from "./invoke.js";
import { IpcHandle } from "./ipc-handle.js";
import { toMicroseconds } from "./ipc-mail.js";
import type { Session } from "./wire/session.js";

export interface LockOptions extends CallOptions {
  /** It is released by itself after so long, unless renewed; by default never. */
  readonly leaseMs?: number | undefined;
}

/**
 * A lock: one holder at a time, first come, first served. The end of the holder's
 * process releases it.
 *
 * @example
 * await using lock = await os.ipc.lock("index");
 * await using held = await lock.acquire({ timeoutMs: 5000 });
 */
export class Lock extends IpcHandle {
  /** Waits for its turn. */
  async acquire(options: LockOptions = {}): Promise<HeldLock> {
    return this.#acquire(false, options);
  }

  /** Takes it if it is free; null when it is not. */
  async tryAcquire(options: LockOptions = {}): Promise<HeldLock | null> {
    try {
      return await this.#acquire(true, options);
    } catch (error) {
      if (error instanceof SyscallError && error.code === "EBUSY") return null;
      throw error;
    }
  }

  async #acquire(now: boolean, options: LockOptions): Promise<HeldLock> {
    const leaseUs = toMicroseconds("leaseMs", options.leaseMs ?? 0);
    const args = { try: now, leaseUs };
    const call = { name: "lock" as const, handle: this.handle, args };
    const { token } = await request(this.session, call, options);
    return new HeldLock(this.session, this.handle, token);
  }
}

/** A lock while it is held. */
export class HeldLock implements AsyncDisposable {
  readonly #session: Session;
  readonly #handle: number;
  /** Rises with each holder: what is written under the lock can carry it, to tell a late writer. */
  readonly token: bigint;

  /** Made by `lock.acquire()`. */
  constructor(session: Session, handle: number, token: bigint) {
    this.#session = session;
    this.#handle = handle;
    this.token = token;
  }

  /** Holds it for `leaseMs` more from now. ENOENT: it is lost. */
  async renew(leaseMs: number, options?: CallOptions): Promise<void> {
    const args = { token: this.token, leaseUs: toMicroseconds("leaseMs", leaseMs) };
    await request(this.#session, { name: "renew", handle: this.#handle, args }, options);
  }

  /** Gives it to the next. ENOENT: it was lost, its lease was over. */
  async release(options?: CallOptions): Promise<void> {
    const args = { token: this.token };
    await request(this.#session, { name: "unlock", handle: this.#handle, args }, options);
  }

  /** Releases it; one that was lost or released before stays so without a word. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.release();
    } catch (error) {
      const lost = error instanceof SyscallError && ["ENOENT", "EBADF"].includes(error.code);
      if (!lost && !(error instanceof ConnectionError)) throw error;
    }
  }
}

/** A barrier: n processes wait until all n do. */
export class Barrier extends IpcHandle {
  /**
   * Waits for all others. Says how often all met before, and how many came before this
   * one. ESRCH: a party is gone, and nobody has opened the barrier in its place.
   */
  async wait(options?: CallOptions): Promise<{ generation: number; index: number }> {
    const call = { name: "barrierWait" as const, handle: this.handle, args: {} };
    const { generation, index } = await request(this.session, call, options);
    return { generation: Number(generation), index };
  }
}

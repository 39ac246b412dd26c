/**
 * Locks: one holder at a time, first come, first served. A holder is known by a token
 * that rises with each, so that whoever guards a thing by the lock can tell a late
 * holder's writes (its lease ended, it did not notice) from the present one's.
 *
 * A lock is free again when it is released, when its lease ends, when its holder's
 * process is over, and when that process has no handle on it any more.
 */
import { ContixError } from "../../proto/errno.js";
import type { Call } from "../call.js";
import type { Clock } from "../clock.js";
import { showId } from "../ids.js";
import type { Journal } from "../journal/journal.js";
import { holders, type ObjectOf } from "./objects.js";
import { type Waiting, Waits } from "./waits.js";

type Lock = ObjectOf<"lock">;

interface Candidate extends Waiting {
  readonly call: Call;
  readonly leaseUs: number;
}

export class Locks {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #queue = new Waits<Candidate>();
  readonly #leases = new Map<bigint, () => void>();
  /** Locks that somebody took and that were not seen free since. */
  readonly #taken = new Set<bigint>();

  constructor(journal: Journal, clock: Clock) {
    this.#journal = journal;
    this.#clock = clock;
  }

  acquire(call: Call, lock: Lock, leaseUs: number, mayWait: boolean): void {
    this.settle(lock.id);
    if (!mayWait && (lock.holder || this.#queue.count(lock.id) > 0)) {
      const who = lock.holder ? showId(lock.holder.pid) : "another process";
      throw new ContixError("EBUSY", `${who} holds the lock`, { argument: "handle" });
    }
    const end = (error: ContixError): void => call.end(error);
    call.waitingOn = "lock";
    call.onEnd(this.#queue.add(lock.id, { pid: call.process.pid, call, leaseUs, end }));
    this.settle(lock.id);
  }

  /** ENOENT: it is not held with this token any more. */
  release(call: Call, lock: Lock, token: bigint): void {
    this.#check(call, lock, token);
    this.#endLease(lock.id);
    call.done({ $case: "unlock", value: {} }, [{ type: "lock.freed", id: lock.id }]);
    this.settle(lock.id);
  }

  renew(call: Call, lock: Lock, token: bigint, leaseUs: number): void {
    this.#check(call, lock, token);
    const { pid } = call.process;
    call.done({ $case: "renew", value: {} }, [
      { type: "lock.taken", id: lock.id, pid, token, leaseUs },
    ]);
    this.#lease(lock.id, leaseUs);
  }

  /** A run of the process is over: what it held is free. */
  runOver(pid: bigint): void {
    for (const id of [...this.#taken]) {
      const lock = this.#journal.state.ipc.objects.get(id);
      if (lock?.type !== "lock" || lock.holder?.pid !== pid) continue;
      this.#endLease(id);
      this.#journal.append({ type: "lock.freed", id });
      this.settle(id);
    }
  }

  waiting(id: bigint): Waiting[] {
    return this.#queue.of(id);
  }
  get ids(): bigint[] {
    return [...this.#queue.ids, ...this.#taken];
  }

  /** Frees the lock of a holder that is gone, and hands a free one to who waited longest. */
  settle(id: bigint): void {
    const lock = this.#journal.state.ipc.objects.get(id);
    if (lock?.type !== "lock") {
      this.#endLease(id);
      this.#taken.delete(id);
      return;
    }
    if (lock.holder && !this.#isThere(lock)) {
      this.#endLease(id);
      this.#journal.append({ type: "lock.freed", id });
    }
    const next = this.#queue.first(id);
    if (!lock.holder) this.#taken.delete(id);
    if (lock.holder || !next) return;
    this.#taken.add(id);
    this.#queue.remove(id, next);
    const token = lock.token + 1n;
    const { call, pid, leaseUs } = next;
    call.done({ $case: "lock", value: { token } }, [
      { type: "lock.taken", id, pid, token, leaseUs },
    ]);
    this.#lease(id, leaseUs);
  }

  #isThere(lock: Lock): boolean {
    const pid = lock.holder?.pid ?? 0n;
    const process = this.#journal.state.processes.get(pid);
    if (!process || process.exit) return false;
    return holders(this.#journal.state, lock, 0).includes(pid);
  }

  #check(call: Call, lock: Lock, token: bigint): void {
    if (lock.holder?.pid === call.process.pid && lock.token === token) return;
    const message = `the lock is not held with token ${token} any more`;
    throw new ContixError("ENOENT", message, { argument: "token" });
  }

  #lease(id: bigint, us: number): void {
    this.#endLease(id);
    if (us === 0) return;
    const over = (): void => {
      this.#leases.delete(id);
      this.#journal.append({ type: "lock.freed", id });
      this.settle(id);
    };
    this.#leases.set(id, this.#clock.after(us, over));
  }

  #endLease(id: bigint): void {
    this.#leases.get(id)?.();
    this.#leases.delete(id);
  }
}

/** At most one timer for each process. */
import type { Clock } from "../../clock.js";

export class Timers {
  readonly #clock: Clock;
  readonly #cancels = new Map<bigint, () => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(pid: bigint): boolean {
    return this.#cancels.has(pid);
  }

  /** Runs `fn` after `us` microseconds, in place of what was set before. */
  set(pid: bigint, us: number, fn: () => void): void {
    this.cancel(pid);
    const cancel = this.#clock.after(us, () => {
      this.#cancels.delete(pid);
      fn();
    });
    this.#cancels.set(pid, cancel);
  }

  cancel(pid: bigint): void {
    this.#cancels.get(pid)?.();
    this.#cancels.delete(pid);
  }

  clear(): void {
    for (const pid of [...this.#cancels.keys()]) this.cancel(pid);
  }
}

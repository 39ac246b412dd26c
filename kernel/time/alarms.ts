/** Alarms: one for each process, the signal ALRM after a time. */
import type { Clock } from "../clock.js";
import type { Journal } from "../journal/journal.js";

export class Alarms {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #ring: (pid: bigint) => void;
  readonly #timers = new Map<bigint, () => void>();

  constructor(journal: Journal, clock: Clock, ring: (pid: bigint) => void) {
    this.#journal = journal;
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Microseconds until the process's alarm; 0: it has none. */
  left(pid: bigint): number {
    const at = this.#journal.state.time.alarms.get(pid);
    return at === undefined ? 0 : Math.max(1, at - this.#clock.now());
  }

  /** Sets the timer by what the journal says. */
  watch(pid: bigint): void {
    this.#timers.get(pid)?.();
    this.#timers.delete(pid);
    const at = this.#journal.state.time.alarms.get(pid);
    if (at === undefined) return;
    const over = (): void => {
      this.#timers.delete(pid);
      this.#journal.append({ type: "alarm.over", pid });
      this.#ring(pid);
    };
    this.#timers.set(pid, this.#clock.after(Math.max(0, at - this.#clock.now()), over));
  }

  /** The process is over, and its alarm with it. */
  processOver(pid: bigint): void {
    if (!this.#journal.state.time.alarms.has(pid)) return;
    this.#journal.append({ type: "alarm.over", pid });
    this.watch(pid);
  }
}

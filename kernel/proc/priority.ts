/**
 * Who gives way to whom on a processor: agents to drivers and the gateway, these to the kernel.
 * The kernel needs little of a processor and at once, and a driver at work leaves none idle; a
 * busy neighbour costs the engine's two-thread barriers most.
 *
 * Where Linux groups processes by session (autogroup), a nice value counts within the
 * agent's own session only, and the group has one too. That one the system lets whoever is
 * not root set once in 100 ms, of all groups of the machine together: when many agents start
 * at once, those that it refused are tried again, one after the other.
 */
import { writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import type { Clock } from "../clock.js";

export const DRIVER_NICE = 5;
export const GATEWAY_NICE = 5;
export const AGENT_NICE = 10;
/** A little more than the system asks for. */
const RETRY_US = 120_000;

/** Lowers a process; its threads take that over as they are made. */
export function giveWay(osPid: number, nice: number): void {
  try {
    setPriority(osPid, nice);
  } catch {
    // It is over already, or was made nicer than that from outside: nothing to lower.
  }
}

/** Sets the nice value of a process's session group; throws what the system says. */
type WriteGroup = (osPid: number, nice: number) => void;

const writeGroup: WriteGroup = (osPid, nice) =>
  writeFileSync(`/proc/${osPid}/autogroup`, String(nice));

export class Priorities {
  readonly #clock: Clock;
  readonly #write: WriteGroup;
  /** Whose groups are still to be lowered, in the order in which they came. */
  readonly #waiting = new Set<number>();

  constructor(clock: Clock, write = writeGroup) {
    this.#clock = clock;
    this.#write = write;
  }

  /** The process, and what it will start, gives way to drivers. */
  lower(osPid: number): void {
    try {
      setPriority(osPid, AGENT_NICE);
    } catch {
      // It is already over: nothing to lower.
      return;
    }
    if (this.#waiting.size === 0 && this.#lowerGroup(osPid)) return;
    if (this.#waiting.add(osPid).size === 1) this.#later();
  }

  /** The process is over: its number may be another's soon. */
  forget(osPid: number): void {
    this.#waiting.delete(osPid);
  }

  #later(): void {
    this.#clock.after(RETRY_US, () => {
      for (const osPid of this.#waiting) {
        if (!this.#lowerGroup(osPid)) break;
        this.#waiting.delete(osPid);
      }
      if (this.#waiting.size > 0) this.#later();
    });
  }

  /** False: not now. */
  #lowerGroup(osPid: number): boolean {
    try {
      this.#write(osPid, AGENT_NICE);
    } catch (error) {
      // All else is for good: it is over, or this system has no such groups.
      return (error as NodeJS.ErrnoException).code !== "EAGAIN";
    }
    return true;
  }
}

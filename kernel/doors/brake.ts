/**
 * The brake of one session: whose principal sends more frames that say nothing than it may
 * is not read until it has room for one more. What he sent meanwhile is late, not lost.
 */
import { ContixError } from "../../proto/errno.js";
import { showId } from "../ids.js";
import type { Kernel } from "../kernel.js";
import type { DoorBook } from "./books.js";

export type Braking = Pick<Kernel, "clock" | "journal" | "log" | "rates">;

export class Brake {
  readonly #kernel: Braking;
  readonly #book: DoorBook;
  readonly #released: () => void;
  #cancel: (() => void) | undefined;

  /** `released` is called each time that the session may be read again. */
  constructor(kernel: Braking, book: DoorBook, released: () => void) {
    this.#kernel = kernel;
    this.#book = book;
    this.#released = released;
  }

  /** The session is not to be read now. */
  get on(): boolean {
    return this.#cancel !== undefined;
  }

  /** A frame of the process said nothing that the kernel could do. */
  fault(pid: bigint): void {
    const waitUs = chargeFault(this.#kernel, this.#book, principalOf(this.#kernel, pid));
    if (waitUs === 0 || this.on) return;
    this.#cancel = this.#kernel.clock.after(waitUs, () => {
      this.#cancel = undefined;
      this.#released();
    });
  }

  /** `held` frames came of a process that is not read, and more come. @returns why it is hung up on */
  tooMany(pid: bigint, held: number): ContixError {
    const principal = principalOf(this.#kernel, pid);
    const { faults } = this.#kernel.rates;
    const retryAfterUs = faults.fine(principal);
    const message = `${overRate(principal, faults.rate(principal))}, and ${held} frames more came meanwhile`;
    this.#kernel.log.debug({ principal, process: showId(pid), held }, "hung up: it sends on");
    return new ContixError("EAGAIN", message, { retryAfterUs });
  }

  /** The session is over. */
  off(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

/** Books a fault of the principal's. @returns how long it is not to be read, microseconds */
export function chargeFault({ rates, log }: Braking, book: DoorBook, principal: string): number {
  book.faults++;
  const { waitUs, begins } = rates.faults.charge(principal);
  if (waitUs > 0) book.braked++;
  if (begins) {
    const what = { principal, door: book.door, perSecond: rates.faults.rate(principal) };
    log.warn(what, "sends more frames that say nothing than it may, and is read slowly");
  }
  return waitUs;
}

/** What is said to who is beyond his rate. */
export function overRate(principal: string, rate: number): string {
  return `the principal ${principal} sent more frames that say nothing than its quota faultsPerSecond, ${rate}`;
}

function principalOf({ journal }: Pick<Braking, "journal">, pid: bigint): string {
  return journal.state.processes.get(pid)?.principal ?? "";
}

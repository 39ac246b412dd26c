/**
 * Who owes for faults and comes by a door that cannot be held up, as that of NATS. He is
 * refused, and hears so late: else he would come again at once, and each time a connection is
 * made, its key looked at, and his debt told.
 */
import { ContixError } from "../../proto/errno.js";
import { type Braking, overRate } from "./brake.js";

/** A refusal is so late at most, microseconds: less than the NATS server's patience with strangers. */
const LATEST_US = 2_000_000;
/** Refusals that wait at once; beyond them they are not late. */
const MOST_WAITING = 64;

/** Not let in before its principal has paid for its faults. */
export class Indebted extends ContixError {
  /** Others that are refused for the same debt are only counted. */
  readonly onRecord: boolean;

  constructor(message: string, retryAfterUs: number, onRecord: boolean) {
    super("EAGAIN", message, { retryAfterUs });
    this.onRecord = onRecord;
  }
}

export class Debtors {
  readonly #kernel: Pick<Braking, "clock" | "rates">;
  #waiting = 0;

  constructor(kernel: Pick<Braking, "clock" | "rates">) {
    this.#kernel = kernel;
  }

  /** Resolves for who owes nothing. EAGAIN, later and once on record, while the principal owes for its faults. */
  async check(principal: string): Promise<void> {
    const { faults } = this.#kernel.rates;
    const { waitUs, first } = faults.debt(principal);
    if (waitUs === 0) return;
    if (this.#waiting < MOST_WAITING) await this.#wait(Math.min(waitUs, LATEST_US));
    // He is refused even if he owes nothing any more: his key may be another one's by now.
    const left = Math.max(1, faults.debt(principal).waitUs);
    throw new Indebted(overRate(principal, faults.rate(principal)), left, first);
  }

  async #wait(us: number): Promise<void> {
    this.#waiting++;
    await new Promise<void>((resolve) => this.#kernel.clock.after(us, resolve));
    this.#waiting--;
  }
}

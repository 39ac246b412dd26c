/**
 * When a driver that died is started again: at once after a first death, then
 * ever later (200, 400, 800 ms ...), and no more after too many in a while.
 */
const FIRST_DELAY_US = 100_000;

export interface DeathLimits {
  /** Deaths within `restartWindowUs` after which it is given up. */
  readonly restartLimit: number;
  readonly restartWindowUs: number;
}

export class Deaths {
  readonly #limits: DeathLimits;
  #at: number[] = [];

  constructor(limits: DeathLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#at.length;
  }

  /** Counts one more. The time to wait before the next start, microseconds; undefined: no more. */
  next(now: number): number | undefined {
    const { restartLimit, restartWindowUs } = this.#limits;
    this.#at = [...this.#at.filter((at) => now - at < restartWindowUs), now];
    if (this.count > restartLimit) return undefined;
    return this.count === 1 ? 0 : FIRST_DELAY_US * 2 ** (this.count - 1);
  }

  forget(): void {
    this.#at = [];
  }
}

/** Spends time as a model would, on timers: the processor stays free for the kernel under test. */

export interface Clock {
  /** Monotonic, microseconds. */
  nowUs(): number;
  sleep(ms: number): Promise<unknown>;
}

/** Timers are no finer than this. */
const TIMER_US = 1000;

/** Oversleep is made good by later spending, but not more than this. */
const MOST_CREDIT_US = 5000;

export class Pace {
  readonly #clock: Clock;
  /** Not spent yet; below 0 when a timer came late. */
  #owedUs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes `us` microseconds, on average over many calls. */
  async spend(us: number): Promise<void> {
    this.#owedUs += us;
    if (this.#owedUs < TIMER_US) return;
    const begun = this.#clock.nowUs();
    await this.#clock.sleep(Math.floor(this.#owedUs / 1000));
    const left = this.#owedUs - (this.#clock.nowUs() - begun);
    this.#owedUs = Math.max(left, -MOST_CREDIT_US);
  }
}

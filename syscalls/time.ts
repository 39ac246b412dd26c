/** Time, as the kernel's clock counts it. */
import { checkNumber } from "./check.js";
import { type CallOptions, request } from "./invoke.js";
import type { Session } from "./wire/session.js";

/** `os.time` */
export class Time {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Sleeps for `ms` milliseconds. */
  async sleep(ms: number, options?: CallOptions): Promise<void> {
    const us = Math.max(0, checkNumber("ms", ms)) * 1000;
    if (us > Number.MAX_SAFE_INTEGER) throw new RangeError(`ms: ${ms} is longer than any clock`);
    await request(this.#session, { name: "sleep", args: { us: BigInt(Math.round(us)) } }, options);
  }
}

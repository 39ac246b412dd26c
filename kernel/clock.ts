/**
 * The one clock and the one source of randomness (law 8). Production passes the
 * system's; tests and the simulator pass their own.
 */
import { randomBytes } from "node:crypto";

export interface Clock {
  /** Monotonic time, microseconds. */
  now(): number;
  /** Wall time, milliseconds since 1970: for timestamps that people read, never for decisions. */
  wall(): number;
  /** Runs `fn` once after `us` microseconds; the result cancels it. */
  after(us: number, fn: () => void): () => void;
}

export interface Randomness {
  /** `n` unpredictable bytes (tokens) or, in a simulation, reproducible ones. */
  bytes(n: number): Buffer;
}

const MAX_TIMER_MS = 2 ** 31 - 1;
/**
 * Who waits for a time of the wall clock sleeps no longer, microseconds, and looks at it then:
 * timers run on the monotonic clock, which knows nothing of its steps.
 */
export const LONGEST_SLEEP_US = 30e6;

export const systemClock: Clock = {
  now: () => Math.round(performance.now() * 1000),
  wall: () => Date.now(),
  after(us, fn) {
    let timer: NodeJS.Timeout;
    // A timer of Node holds 31 bits of milliseconds and fires at once beyond them.
    const arm = (ms: number): void => {
      timer =
        ms > MAX_TIMER_MS
          ? setTimeout(() => arm(ms - MAX_TIMER_MS), MAX_TIMER_MS)
          : setTimeout(fn, ms);
    };
    arm(us / 1000);
    return () => clearTimeout(timer);
  },
};

export const systemRandomness: Randomness = { bytes: (n) => randomBytes(n) };

/** A secret that cannot be guessed: 32 bytes, base64url. */
export function secret(random: Randomness): string {
  return random.bytes(32).toString("base64url");
}

/** An unsigned 64-bit integer. */
export function u64(random: Randomness): bigint {
  return random.bytes(8).readBigUInt64LE();
}

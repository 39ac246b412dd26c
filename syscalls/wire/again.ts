/**
 * One thing tried again until it succeeds or its time is over: each try with the time that
 * is left, and between two a pause that grows, with chance in it, so that a crowd that was
 * turned away together does not come back together.
 */
import { setTimeout as delay } from "node:timers/promises";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 800;

export interface Tries<T> {
  /** In all, milliseconds. */
  readonly timeoutMs: number;
  /** One try; `leftMs` is what it may take. */
  readonly attempt: (leftMs: number) => Promise<T>;
  /** Whether another try may end better. */
  readonly mayPass: (error: unknown) => boolean;
  /** The least pause that the error asks for, milliseconds. */
  readonly pauseMs?: (error: unknown) => number;
  /** The error to end with when no time is left, after `tries` of them. */
  readonly giveUp: (last: unknown, tries: number) => unknown;
}

/** The first try that succeeds; rejects with its error when that will not pass. */
export async function tryAgain<T>(how: Tries<T>): Promise<T> {
  const { timeoutMs, attempt, mayPass, pauseMs = () => 0, giveUp } = how;
  const deadline = performance.now() + timeoutMs;
  let last: { readonly error: unknown } | undefined;
  for (let tries = 1, most = FIRST_PAUSE_MS; ; tries++) {
    try {
      return await attempt(Math.max(1, deadline - performance.now()));
    } catch (error) {
      if (!mayPass(error)) {
        // The last try had what time was left: why it was needed says more than that it was late.
        const late = performance.now() + FIRST_PAUSE_MS / 2 >= deadline;
        throw last && late ? giveUp(last.error, tries - 1) : error;
      }
      last = { error };
      const pause = pauseMs(error) + most * (0.5 + Math.random() / 2);
      if (performance.now() + pause >= deadline) throw giveUp(error, tries);
      await delay(pause);
      most = Math.min(2 * most, LONGEST_PAUSE_MS);
    }
  }
}

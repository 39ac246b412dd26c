/** Waiting with an end. */
import { setTimeout as sleep } from "node:timers/promises";

/** `promise`, or an error that says what did not come within `ms`. */
export async function withTimeout<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  const cancel = new AbortController();
  const late = sleep(ms, undefined, { signal: cancel.signal }).then(() => {
    throw new Error(`${what} did not come within ${ms / 1000} s`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel.abort();
    late.catch(() => {});
  }
}

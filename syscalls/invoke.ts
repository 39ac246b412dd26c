/** What every call of the surface shares: its options, and how it is made. */
import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { checkCount, checkNumber } from "./check.js";
import { SyscallError } from "./errors.js";
import type { Answer, CallName, CallSpec } from "./wire/pending.js";
import type { Session, Ticket } from "./wire/session.js";

/** Options that every call takes. */
export interface CallOptions {
  /**
   * Cancels the call. It rejects with the signal's reason (an `AbortError`, if
   * none was given) once the kernel has stopped it, so that its context or
   * mailbox is idle by then; a call that was already done resolves all the same.
   */
  readonly signal?: AbortSignal | undefined;
  /** The call fails with SyscallError ETIMEDOUT after this many milliseconds; none by default. */
  readonly timeoutMs?: number | undefined;
  /**
   * How often to try again when the kernel is full (EAGAIN): first after the time that it
   * names, then after twice that, and so on, a minute at most. 5 by default for
   * generations, which are what fills a kernel; 0 for other calls. `timeoutMs` spans all
   * tries.
   */
  readonly retries?: number | undefined;
}

const LONGEST_WAIT_MS = 60_000;

type Spec<K extends CallName> = Omit<CallSpec<K>, "timeoutMs"> & {
  /** Sees each try as it is sent. */
  readonly onStart?: (ticket: Ticket<K>) => void;
};

/** Makes a call, again while the kernel is full and `retries` allow. */
export async function invoke<K extends CallName>(
  session: Session,
  spec: Spec<K>,
  options: CallOptions = {},
): Promise<Answer<K>> {
  if (isPlain(options)) {
    const ticket = session.start(spec);
    spec.onStart?.(ticket);
    return ticket.answer;
  }
  return persist(session, spec, options);
}

/** Most calls: nothing but the answer is waited for, and no more promises are made than for that. */
function isPlain({ signal, timeoutMs, retries = 0 }: CallOptions): boolean {
  return signal === undefined && timeoutMs === undefined && retries === 0;
}

async function persist<K extends CallName>(
  session: Session,
  spec: Spec<K>,
  options: CallOptions,
): Promise<Answer<K>> {
  const { signal, timeoutMs = Number.POSITIVE_INFINITY, retries = 0 } = options;
  checkNumber("timeoutMs", timeoutMs);
  if (retries !== Number.POSITIVE_INFINITY) checkCount("retries", retries);
  const end = performance.now() + timeoutMs;
  for (let tried = 0; ; tried++) {
    try {
      return await once(session, spec, end - performance.now(), signal);
    } catch (error) {
      const again = error instanceof SyscallError && error.code === "EAGAIN" && tried < retries;
      if (!again) throw error;
      const wait = Math.min(error.retryAfterMs * 2 ** Math.min(tried, 16), LONGEST_WAIT_MS);
      if (performance.now() + wait > end) throw error;
      await pause(wait, signal);
    }
  }
}

/** The same, for calls whose usage nobody asks for. */
export async function request<K extends CallName>(
  session: Session,
  spec: Spec<K>,
  options: CallOptions = {},
): Promise<Answer<K>["value"]> {
  const { value } = await (isPlain(options)
    ? session.start(spec).answer
    : persist(session, spec, options));
  return value;
}

async function once<K extends CallName>(
  session: Session,
  spec: Spec<K>,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Answer<K>> {
  signal?.throwIfAborted();
  const ticket = session.start({ ...spec, timeoutMs });
  spec.onStart?.(ticket);
  const forget = onAbort(signal, (reason) => ticket.cancel(reason));
  try {
    return await ticket.answer;
  } finally {
    forget();
  }
}

/** Calls `act` with the signal's reason when it aborts, unless the result is called before. */
export function onAbort(
  signal: AbortSignal | undefined,
  act: (reason: unknown) => void,
): () => void {
  if (signal === undefined) return () => undefined;
  const listener = (): void => act(signal.reason);
  // One signal for many calls is no leak: each takes its listener away when it ends.
  setMaxListeners(0, signal);
  signal.addEventListener("abort", listener, { once: true });
  return () => signal.removeEventListener("abort", listener);
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  } catch {
    // The timer's own AbortError would hide the caller's reason.
    signal?.throwIfAborted();
  }
}

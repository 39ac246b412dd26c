/**
 * A download that goes on where it was cut off: by the server, the network, a
 * stall or a Ctrl-C. The part that is there lies in a file; only the rest is asked
 * for. Whether the whole is right is the caller's to check, by its sha256.
 */
import { mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ContixError } from "../../../proto/errno.js";
import { diskFull } from "./staging.js";

export interface DownloadOptions {
  /** Headers of every request, such as a token. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly onBytes?: (done: number) => void;
  readonly signal?: AbortSignal | undefined;
  /** Until the answer's head has come. */
  readonly connectMs: number;
  /** Without a byte. */
  readonly stallMs: number;
  /** Requests in a row that bring nothing, until it is given up. */
  readonly tries: number;
  /** Between such requests. */
  readonly retryMs: number;
}

/**
 * Brings `file` to `size` bytes from `url`.
 * @throws ContixError EIO with the reason; ENOSPC; the signal's reason when aborted.
 */
export async function download(
  url: string,
  file: string,
  size: number,
  options: DownloadOptions,
): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  let failures = 0;
  for (;;) {
    const before = await lengthOf(file);
    if (before === size) return;
    try {
      await fetchRest(url, file, before > size ? 0 : before, size, options);
      if ((await lengthOf(file)) === before)
        throw new ContixError("EIO", "the server sent nothing");
    } catch (error) {
      options.signal?.throwIfAborted();
      if (error instanceof ContixError && !error.retryable) throw error;
      failures = (await lengthOf(file)) > before ? 0 : failures + 1;
      if (failures >= options.tries) throw error;
      if (failures > 0) await sleep(options.retryMs, undefined, withSignal(options.signal));
    }
  }
}

/** fetch, but the answer's head must come within `ms`; failures are said plainly. */
export async function fetchWithin(
  ms: number,
  url: string | URL | Request,
  init: RequestInit = {},
): Promise<Response> {
  const tooLate = new AbortController();
  const timer = setTimeout(() => tooLate.abort(), ms);
  const signals = init.signal ? [init.signal, tooLate.signal] : [tooLate.signal];
  try {
    return await fetch(url, { ...init, signal: AbortSignal.any(signals) });
  } catch (error) {
    init.signal?.throwIfAborted();
    if (tooLate.signal.aborted) throw new ContixError("EIO", `no answer within ${ms / 1000} s`);
    throw new ContixError("EIO", causeOf(error), { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

async function fetchRest(
  url: string,
  file: string,
  from: number,
  size: number,
  options: DownloadOptions,
): Promise<void> {
  const headers = from > 0 ? { ...options.headers, range: `bytes=${from}-` } : options.headers;
  const init = { ...(headers && { headers }), ...withSignal(options.signal) };
  const response = await fetchWithin(options.connectMs, url, init);
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    const status = `${response.status} ${response.statusText}`.trim();
    // A server in trouble may recover; a file that is not there will not come.
    throw new ContixError(response.status >= 500 ? "EIO" : "ENOENT", `the server says ${status}`);
  }
  // A server that ignores the range sends the file from its start.
  const start = response.status === 206 ? from : 0;
  await append(response.body, file, start, size, options);
}

async function append(
  body: ReadableStream<Uint8Array>,
  file: string,
  start: number,
  size: number,
  options: DownloadOptions,
): Promise<void> {
  const out = await open(file, start > 0 ? "r+" : "w", 0o600);
  const reader = body.getReader();
  try {
    for (let at = start; ; ) {
      const { done, value } = await within(options.stallMs, () => reader.read());
      if (done) return;
      for (let sent = 0; sent < value.length; ) {
        sent += (await out.write(value, sent, value.length - sent, at + sent)).bytesWritten;
      }
      at += value.length;
      if (at > size)
        throw new ContixError("ENOENT", `the server has another file: over ${size} bytes`);
      options.onBytes?.(at);
    }
  } catch (error) {
    throw error instanceof ContixError ? error : transferError(error, file);
  } finally {
    await reader.cancel().catch(() => {});
    await out.close();
  }
}

function transferError(error: unknown, file: string): unknown {
  const typed = diskFull(error, dirname(file));
  if (typed instanceof ContixError) return typed;
  return new ContixError("EIO", `the transfer broke off: ${causeOf(error)}`, { cause: error });
}

async function within<T>(ms: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const stalled = new Promise<never>((_, reject) => {
    const error = new ContixError("EIO", `the transfer stalled for ${ms / 1000} s`);
    timer = setTimeout(() => reject(error), ms);
  });
  try {
    return await Promise.race([work(), stalled]);
  } finally {
    clearTimeout(timer);
  }
}

function withSignal(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}

async function lengthOf(file: string): Promise<number> {
  return stat(file).then(
    (found) => found.size,
    () => 0,
  );
}

/** fetch hides the reason ("fetch failed") in its cause. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause;
  return cause instanceof Error && cause.message !== "" ? cause.message : error.message;
}

/**
 * A download in parallel ranges that goes on where it was cut off: by the server,
 * the network, a stall, a Ctrl-C or a kill. It runs in rounds. A round asks for the
 * first missing range alone; when the server answers with that range, the other
 * connections join in; when it answers with the whole file, that is taken from its
 * start. A failure ends the round, and the next one, after a while and with half the
 * connections, asks for what is still missing. Whether the whole is right is the
 * caller's to check, by its checksum.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ContixError } from "../../../proto/errno.js";
import { fetchWithin, identityHeaders, isHopeless, refusalOf } from "./download-http.js";
import type { PartialFile, Span } from "./download-partial.js";
import { headOf, readBody } from "./download-range.js";

/** How patient, and how eager. */
export interface TransferSettings {
  /** Until the answer's head has come. */
  readonly connectMs: number;
  /** For a few bytes at least, while a body comes. */
  readonly stallMs: number;
  /** Rounds in a row that bring next to nothing, until it is given up. */
  readonly tries: number;
  /** After the first such round; twice as long after each more. */
  readonly retryMs: number;
  readonly connections: number;
  /** Bytes of one range. */
  readonly rangeBytes: number;
}

export interface DownloadOptions extends TransferSettings {
  /** Headers of every request, such as a token. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes that are there, those of earlier runs included. */
  readonly onBytes?: (done: number) => void;
  readonly onNote?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A wait that a server asks for is kept up to this long; then the caller is told. */
const LONGEST_WAIT_MS = 120_000;
const LONGEST_BACKOFF_MS = 30_000;
/** A round that brings less than this has brought nothing. */
const NEXT_TO_NOTHING = 4096;
/** A file that changes under us this often is no file. */
const CHANGES = 3;

/** Thrown within a round when the server has another content than the parts are of. */
class Changed extends Error {}

/**
 * Brings `partial` to its whole size from `url`.
 * @throws ContixError EACCES, ENOENT, EAGAIN (with the server's wait), ETIMEDOUT, EIO
 * with the reason; ENOSPC; the signal's reason when aborted.
 */
export async function download(
  url: string,
  partial: PartialFile,
  options: DownloadOptions,
): Promise<void> {
  let failures = 0;
  let changes = 0;
  // Whether the server has answered, ever.
  let met = false;
  let { connections } = options;
  while (partial.gaps.length > 0) {
    const before = partial.received;
    try {
      await round(url, partial, { ...options, connections });
      met = true;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (error instanceof Changed) {
        if (++changes >= CHANGES) throw new ContixError("EIO", "the file changes all the time");
        options.onNote?.("the file has changed on the server; starting over");
        await partial.clear();
        continue;
      }
      if (!(error instanceof ContixError) || !error.retryable) throw error;
      met ||= !isHopeless(error);
      if (!met) throw error;
      const some = Math.min(NEXT_TO_NOTHING, partial.size - before);
      failures = partial.received - before >= some ? 0 : failures + 1;
      if (failures >= options.tries) throw error;
      connections = Math.max(1, connections >> 1);
      await sleep(waitAfter(error, failures, options), undefined, withSignal(options.signal));
    }
  }
}

function waitAfter(error: ContixError, failures: number, options: DownloadOptions): number {
  const asked = error.retryAfterUs / 1000;
  if (asked > LONGEST_WAIT_MS) throw error;
  const backoff = options.retryMs * 2 ** Math.max(0, failures - 1);
  return Math.max(asked, Math.min(backoff, LONGEST_BACKOFF_MS));
}

/** Everything that one round's connections share. */
interface Round {
  readonly url: string;
  readonly partial: PartialFile;
  readonly options: DownloadOptions;
  readonly queue: Span[];
  readonly signal: AbortSignal;
}

async function round(url: string, partial: PartialFile, options: DownloadOptions): Promise<void> {
  const stop = new AbortController();
  const signals = options.signal ? [options.signal, stop.signal] : [stop.signal];
  const signal = AbortSignal.any(signals);
  const queue = cut(partial.gaps, options.rangeBytes);
  const shared: Round = { url, partial, options, queue, signal };
  const first = queue.shift();
  if (!first) return;
  let failure: { readonly error: unknown } | undefined;
  const workers: Promise<void>[] = [];
  const start = (worker: Promise<void>) => {
    workers.push(
      worker.catch((error: unknown) => {
        // The first failure is the reason of all others.
        failure ??= { error };
        stop.abort();
      }),
    );
  };
  const others = () => {
    const more = Math.min(options.connections - 1, queue.length);
    for (let i = 0; i < more; i++) start(work(shared));
  };
  start(take(shared, first, others).then(() => work(shared)));
  // Others are added while the first is awaited.
  for (let i = 0; i < workers.length; i++) await workers[i];
  if (failure) throw failure.error;
}

async function work(shared: Round): Promise<void> {
  for (let span = shared.queue.shift(); span; span = shared.queue.shift()) {
    await take(shared, span, () => {});
  }
}

/** Brings one range; `onRange` is called when the server turns out to know ranges. */
async function take(shared: Round, span: Span, onRange: () => void): Promise<void> {
  const { url, partial, options, signal, queue } = shared;
  const [from, to] = span;
  const whole = from === 0 && to === partial.size;
  const range = whole ? undefined : { range: `bytes=${from}-${to - 1}` };
  const headers = { ...identityHeaders, ...options.headers, ...range };
  const response = await fetchWithin(options.connectMs, url, { headers, signal });
  if (!response.ok || !response.body) throw await refusalOf(response);
  try {
    const head = headOf(response, span, partial.size);
    await sameContent(partial, head.tag);
    if (head.start !== from || !head.ranged) {
      // The server knows no ranges: all of the file comes, and nobody else need ask.
      queue.length = 0;
    } else {
      onRange();
    }
    const sink = { partial, onBytes: () => options.onBytes?.(partial.received) };
    const end = head.ranged ? to : partial.size;
    await readBody(response.body, sink, [head.start, end], options.stallMs);
  } catch (error) {
    await response.body.cancel().catch(() => {});
    throw error;
  }
}

/** Parts of two contents are never joined. */
async function sameContent(partial: PartialFile, tag: string | undefined): Promise<void> {
  if (partial.tag === tag) return;
  if (partial.received > 0 || partial.tag !== undefined) throw new Changed();
  partial.tag = tag;
  await partial.note();
}

/** Ranges of at most `bytes`, in order. */
function cut(gaps: readonly Span[], bytes: number): Span[] {
  const spans: Span[] = [];
  for (const [from, to] of gaps) {
    for (let at = from; at < to; at += bytes) spans.push([at, Math.min(to, at + bytes)]);
  }
  return spans;
}

function withSignal(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}

/** One answer's bytes: is it the range that was asked for, and does it come? */
import { ContixError } from "../../../proto/errno.js";
import { causeOf } from "./download-http.js";
import type { PartialFile, Span } from "./download-partial.js";

/** A body that brings less than this in the time of a stall is stalled. */
const TRICKLE = 4096;

export interface RangeHead {
  /** False: the whole file comes, from byte 0. */
  readonly ranged: boolean;
  /** The first byte's place in the file. */
  readonly start: number;
  /** What the server calls this content. */
  readonly tag: string | undefined;
}

/**
 * What an answer to a request for `span` of a file of `size` bytes brings.
 * @throws ContixError ENOENT when the server's file has another size, EIO when it
 * sends another range.
 */
export function headOf(response: Response, [from, to]: Span, size: number): RangeHead {
  const tag = response.headers.get("etag") ?? undefined;
  const length = lengthOf(response);
  if (response.status !== 206) {
    if (length !== undefined && length !== size) throw anotherFile(length, size);
    return { ranged: false, start: 0, tag };
  }
  const range = response.headers.get("content-range") ?? "";
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(range) ?? [];
  if (total !== undefined && total !== "*" && Number(total) !== size) {
    throw anotherFile(Number(total), size);
  }
  if (Number(first) !== from || Number(last) > to - 1) {
    const asked = `bytes ${from}-${to - 1}`;
    throw new ContixError("EIO", `the server sends "${range}" where ${asked} were asked for`);
  }
  return { ranged: true, start: from, tag };
}

/**
 * Writes a body to its place, which is `span`.
 * @throws ContixError ETIMEDOUT when it stalls, EIO when it breaks off or is too
 * short, ENOENT when it goes on beyond the file's end; ENOSPC.
 */
export async function readBody(
  body: ReadableStream<Uint8Array>,
  sink: { readonly partial: PartialFile; readonly onBytes: () => void },
  [from, to]: Span,
  stallMs: number,
): Promise<void> {
  const reader = body.getReader();
  const watch = new StallWatch(stallMs);
  try {
    for (let at = from; ; ) {
      const { done, value } = await watch.read(reader);
      if (done && at < to) {
        throw new ContixError("EIO", `the server sent ${at - from} of ${to - from} bytes`);
      }
      if (done) return;
      const wanted = value.subarray(0, to - at);
      await sink.partial.write(at, wanted);
      at += wanted.length;
      sink.onBytes();
      if (wanted.length < value.length) {
        throw new ContixError(
          "ENOENT",
          `the server has another file: it does not end at byte ${to}`,
        );
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/**
 * Sees to it that enough comes, not only something: a trickle is a stall too. Only the
 * time of waiting counts, not that of a slow disk.
 */
class StallWatch {
  readonly #ms: number;
  #waited = 0;
  #bytes = 0;

  constructor(ms: number) {
    this.#ms = ms;
  }

  async read(reader: ReadableStreamDefaultReader<Uint8Array>) {
    let timer: NodeJS.Timeout | undefined;
    const since = performance.now();
    const stalled = new Promise<never>((_, reject) => {
      const error = new ContixError("ETIMEDOUT", `the transfer stalled for ${this.#ms / 1000} s`);
      timer = setTimeout(() => reject(error), Math.max(0, this.#ms - this.#waited));
    });
    try {
      const result = await Promise.race([readFrom(reader), stalled]);
      this.#count(result.value?.length ?? 0, performance.now() - since);
      return result;
    } finally {
      clearTimeout(timer);
    }
  }

  #count(bytes: number, waited: number): void {
    this.#bytes += bytes;
    this.#waited += waited;
    if (this.#bytes < TRICKLE) return;
    this.#bytes = 0;
    this.#waited = 0;
  }
}

async function readFrom(reader: ReadableStreamDefaultReader<Uint8Array>) {
  try {
    return await reader.read();
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") throw error;
    throw new ContixError("EIO", `the transfer broke off: ${causeOf(error)}`, { cause: error });
  }
}

function lengthOf(response: Response): number | undefined {
  const text = response.headers.get("content-length");
  return text === null ? undefined : Number(text);
}

function anotherFile(found: number, size: number): ContixError {
  return new ContixError("ENOENT", `the server has another file: ${found} bytes, expected ${size}`);
}

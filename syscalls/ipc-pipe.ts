/** Pipes: streams of bytes with a bounded buffer. */
import { checkCount } from "./check.js";
import { type CallOptions, request } from "./invoke.js";
import { IpcHandle } from "./ipc-handle.js";
import { toBytes } from "./ipc-mail.js";

/** A write goes in whole; this much fits into every pipe. */
const PIECE_BYTES = 16_384;

/**
 * The end of a pipe that reads.
 *
 * @example
 * for await (const bytes of reader) process.stdout.write(bytes);
 */
export class PipeReader extends IpcHandle {
  /** Waits for bytes, `max` at most; null at the end: nobody is left who could write. */
  async read(
    options: CallOptions & { readonly max?: number | undefined } = {},
  ): Promise<Uint8Array | null> {
    const args = { max: checkCount("max", options.max ?? 0) };
    const call = { name: "pipeRead" as const, handle: this.handle, args };
    const { data, eof } = await request(this.session, call, options);
    return eof ? null : data;
  }

  /** All there is until the end. */
  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    for (let data = await this.read(); data; data = await this.read()) yield data;
  }
}

/** The end of a pipe that writes. Its reader sees the end when all such ends are closed. */
export class PipeWriter extends IpcHandle {
  /**
   * Waits until all of it is in the pipe, so a slow reader slows the writer down. EPIPE:
   * nobody is left who could read. What is longer than 16 KiB goes in pieces.
   */
  async write(data: string | Uint8Array, options: CallOptions = {}): Promise<void> {
    const bytes = toBytes(data);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      await this.#write(bytes.subarray(at, at + PIECE_BYTES), false, options);
    }
  }

  /** Writes at once or not at all: EAGAIN when it does not fit now. At most 16 KiB for sure. */
  async tryWrite(data: string | Uint8Array, options: CallOptions = {}): Promise<void> {
    await this.#write(toBytes(data), true, options);
  }

  async #write(data: Buffer, now: boolean, options: CallOptions): Promise<void> {
    const call = { name: "pipeWrite" as const, handle: this.handle, args: { data, try: now } };
    await request(this.session, call, options);
  }
}

/**
 * Frames on a byte stream: a 4-byte little-endian length, then that many bytes.
 * The kernel and its drivers speak protobuf messages in such frames.
 */
import type { Duplex } from "node:stream";
import { ContixError } from "./errno.js";

/** The longest frame either side accepts, bytes. */
export const MAX_FRAME = 64 * 1024 * 1024;

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

export interface FrameChannel<Out> {
  /** Queues one message; those of one turn of the event loop go in one write. Returns false while the peer is behind (see "drain" of the stream). */
  send(message: Out): boolean;
  /** Ends our direction after what is queued. */
  end(): void;
}

/**
 * Speaks frames on `stream`. `onMessage` is called in order for each whole frame;
 * `onClose` once, with the error when the stream broke or carried a bad frame.
 */
export function frames<In, Out>(
  stream: Duplex,
  incoming: Codec<In>,
  outgoing: Codec<Out>,
  onMessage: (message: In) => void,
  onClose: (error?: Error) => void,
): FrameChannel<Out> {
  let pending: Buffer = Buffer.alloc(0);
  let closed = false;
  let corked = false;
  const uncork = (): void => {
    corked = false;
    stream.uncork();
  };
  const close = (error?: Error): void => {
    if (closed) return;
    closed = true;
    onClose(error);
  };
  stream.on("data", (bytes: Buffer) => {
    pending = pending.length === 0 ? bytes : Buffer.concat([pending, bytes]);
    try {
      pending = drain(pending, (frame) => onMessage(incoming.decode(frame)));
    } catch (error) {
      close(error instanceof Error ? error : new Error(String(error)));
      stream.destroy();
    }
  });
  stream.on("error", close);
  stream.on("end", () => close());
  stream.on("close", () => close());
  return {
    send(message) {
      if (closed || stream.writableEnded || stream.destroyed) return false;
      if (!corked) {
        corked = true;
        stream.cork();
        setImmediate(uncork);
      }
      return stream.write(frame(outgoing.encode(message).finish()));
    },
    end() {
      if (!stream.writableEnded) stream.end();
    },
  };
}

function frame(body: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(4 + body.length);
  bytes.writeUInt32LE(body.length, 0);
  bytes.set(body, 4);
  return bytes;
}

/** Hands every whole frame in `bytes` to `take`; returns what is left. */
function drain(bytes: Buffer, take: (frame: Uint8Array) => void): Buffer {
  let at = 0;
  while (bytes.length - at >= 4) {
    const length = bytes.readUInt32LE(at);
    if (length > MAX_FRAME) {
      throw new ContixError("EPROTO", `a frame of ${length} bytes; at most ${MAX_FRAME}`);
    }
    if (bytes.length - at - 4 < length) break;
    take(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return at === 0 ? bytes : bytes.subarray(at);
}

/**
 * Encoding messages without garbage. A writer of its own for each message, and a result with an
 * ArrayBuffer of its own, cost more than encoding a small message does, most of it in the garbage
 * collector: so one writer is used again, and results are cut from Node's pool of small buffers.
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire";

/** What is generated for a message. */
interface Codec<T> {
  encode(message: T, writer: BinaryWriter): BinaryWriter;
}

/** What a writer holds, in fields that are private to the library: `finish` copies too dearly. */
interface Written {
  readonly buffer: Uint8Array;
  pos: number;
}

/** A writer's buffer grows with its messages; after one that is longer it is let go, bytes. */
const KEPT = 256 * 1024;
/** Up to here a loop copies faster than a call, bytes. */
const SHORT = 64;

let writer = new BinaryWriter();

/** The bytes of a message, the caller's to keep. Throws what the codec throws: a number out of range. */
export function encodeMessage<T>(codec: Codec<T>, message: T): Buffer {
  try {
    codec.encode(message, writer);
  } catch (error) {
    // What it holds now is half a message.
    writer = new BinaryWriter();
    throw error;
  }
  const written = writer as unknown as Written;
  const bytes = copy(written.buffer, written.pos);
  if (written.pos > KEPT) writer = new BinaryWriter();
  else written.pos = 0;
  return bytes;
}

function copy(from: Uint8Array, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  if (length > SHORT) bytes.set(from.subarray(0, length));
  else for (let i = 0; i < length; i++) bytes[i] = from[i] ?? 0;
  return bytes;
}

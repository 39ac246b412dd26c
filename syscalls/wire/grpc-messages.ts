/** Messages as gRPC puts them into a stream of bytes: a flag, the length in four bytes, the message. */

const HEADER_BYTES = 5;

/** A message with its header. */
export function messageBytes(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + message.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, HEADER_BYTES);
  return bytes;
}

/** Takes bytes as they come and gives the messages in them, in order. */
export class Messages<T> {
  readonly #max: number;
  readonly #decode: (message: Buffer) => T;
  /** Of a message that is not whole yet: what came of it, header included. */
  #parts: Buffer[] = [];
  #have = 0;
  /** The bytes at which there is something to be done: a header, or a header and its message. */
  #want = HEADER_BYTES;

  /** @param decode gets bytes that are its to keep */
  constructor(max: number, decode: (message: Buffer) => T) {
    this.#max = max;
    this.#decode = decode;
  }

  /** Throws Error for a message that is compressed, which nobody asked for, or too long; and what `decode` throws. */
  take(chunk: Buffer): T[] {
    const whole: T[] = [];
    let bytes = chunk;
    if (this.#have > 0) {
      this.#parts.push(chunk);
      this.#have += chunk.length;
      if (this.#have < this.#want) return whole;
      bytes = Buffer.concat(this.#parts);
    }
    let at = 0;
    for (;;) {
      this.#want = this.#lengthAt(bytes, at);
      if (bytes.length - at < this.#want) break;
      const end = at + this.#want;
      whole.push(this.#decode(bytes.subarray(at + HEADER_BYTES, end)));
      at = end;
    }
    this.#have = bytes.length - at;
    this.#parts = this.#have > 0 ? [bytes.subarray(at)] : [];
    return whole;
  }

  /** Of the message that begins there with its header; without a whole header, that of a header. */
  #lengthAt(bytes: Buffer, at: number): number {
    if (bytes.length - at < HEADER_BYTES) return HEADER_BYTES;
    const length = bytes.readUInt32BE(at + 1);
    if (bytes[at] !== 0) throw new Error("a compressed message came, and nobody asked for one");
    if (length > this.#max)
      throw new Error(`a message of ${length} bytes came; at most ${this.#max}`);
    return HEADER_BYTES + length;
  }
}

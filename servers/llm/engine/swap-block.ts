/**
 * A block of the swap file: a page's bytes, and right behind them a header that says whose
 * they are: name [32 bytes], length [uint32, little-endian], checksum [uint32], zeros. The
 * checksum (CRC-32) is over the bytes, the name and the length, so half a write, a block of
 * another page and a flipped bit are told from the page itself. Blocks begin at multiples
 * of the disk's pages.
 */
import { crc32 } from "node:zlib";

const HEADER_BYTES = 64;
const NAME_BYTES = 32;
const CHECKSUM_AT = NAME_BYTES + 4;
const DISK_PAGE = 4096;

export class BlockFormat {
  readonly #pageBytes: number;
  /** From the beginning of a block to the next. */
  readonly stride: number;

  constructor(pageBytes: number) {
    this.#pageBytes = pageBytes;
    this.stride = Math.ceil((pageBytes + HEADER_BYTES) / DISK_PAGE) * DISK_PAGE;
  }

  /** Bytes that are read and written. */
  get length(): number {
    return this.#pageBytes + HEADER_BYTES;
  }

  /** Collects the pieces of a page in `block` [length]. */
  gather(page: readonly Uint8Array[], block: Buffer): void {
    let at = 0;
    for (const piece of page) {
      block.set(piece, at);
      at += piece.length;
    }
    if (at !== this.#pageBytes)
      throw new RangeError(`a page of ${at}, not ${this.#pageBytes} bytes`);
  }

  /** Completes a block that has its page. */
  seal(name: Uint8Array, block: Buffer): void {
    const header = block.subarray(this.#pageBytes);
    header.fill(0);
    header.set(name);
    header.writeUInt32LE(this.#pageBytes, NAME_BYTES);
    header.writeUInt32LE(checksum([block.subarray(0, this.#pageBytes)], header), CHECKSUM_AT);
  }

  /** An empty header, to read one into. */
  header(): Buffer {
    return Buffer.alloc(HEADER_BYTES);
  }

  /** Whether the pieces are the page `name`, as `header` has it. */
  holds(page: readonly Uint8Array[], header: Buffer, name: Uint8Array): boolean {
    return (
      header.subarray(0, NAME_BYTES).equals(name) &&
      header.readUInt32LE(NAME_BYTES) === this.#pageBytes &&
      header.readUInt32LE(CHECKSUM_AT) === checksum(page, header)
    );
  }
}

function checksum(page: readonly Uint8Array[], header: Buffer): number {
  let sum = 0;
  for (const piece of page) sum = crc32(piece, sum);
  return crc32(header.subarray(0, CHECKSUM_AT), sum);
}

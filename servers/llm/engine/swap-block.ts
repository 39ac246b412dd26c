/**
 * A block of the swap file: a page's bytes, and right behind them a header that says whose
 * they are: name [32 bytes], length [uint32, little-endian], checksum [16], zeros. The
 * checksum is over the bytes, the name and the length, so half a write, a block of another
 * page and a flipped bit are told from the page itself. Blocks begin at multiples of the
 * disk's pages.
 *
 * The checksum is AES-GMAC (NIST SP 800-38D) under a key that is no secret: it guards against
 * accidents, and of what Node has it is the fastest, two to three times CRC-32, since
 * processors have instructions for it.
 */
import { createCipheriv } from "node:crypto";

const HEADER_BYTES = 64;
export const NAME_BYTES = 32;
const CHECKSUM_AT = NAME_BYTES + 4;
const CHECKSUM_BYTES = 16;
const DISK_PAGE = 4096;

const KEY = Buffer.from("a page of contix", "latin1");
const NONCE = Buffer.alloc(12);

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

  /** Puts a page, which lies in pieces, into `block` [length]. */
  gather(page: readonly Uint8Array[], block: Uint8Array): void {
    let at = 0;
    for (const piece of page) {
      block.set(piece, at);
      at += piece.length;
    }
    if (at !== this.#pageBytes) {
      throw new RangeError(`a page of ${at}, not ${this.#pageBytes} bytes`);
    }
  }

  /** Says in `block` [length] whose page it holds, and with which bytes. */
  seal(name: Uint8Array, block: Buffer): void {
    block.fill(0, this.#pageBytes);
    block.set(name, this.#pageBytes);
    block.writeUInt32LE(this.#pageBytes, this.#pageBytes + NAME_BYTES);
    block.set(this.#checksum(block), this.#pageBytes + CHECKSUM_AT);
  }

  /** Whether `block` [length or more] holds the page `name`, as it was sealed. */
  holds(name: Uint8Array, block: Buffer): boolean {
    const header = block.subarray(this.#pageBytes, this.length);
    return (
      header.subarray(0, NAME_BYTES).equals(name) &&
      header.readUInt32LE(NAME_BYTES) === this.#pageBytes &&
      header.subarray(CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES).equals(this.#checksum(block))
    );
  }

  /** The page in `block`. */
  page(block: Buffer): Uint8Array {
    return block.subarray(0, this.#pageBytes);
  }

  /** Of the bytes, the name and the length. */
  #checksum(block: Buffer): Buffer {
    const mac = createCipheriv("aes-128-gcm", KEY, NONCE);
    mac.setAAD(block.subarray(0, this.#pageBytes + CHECKSUM_AT));
    mac.final();
    return mac.getAuthTag();
  }
}

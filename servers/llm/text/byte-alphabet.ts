/**
 * The printable character that byte-level vocabularies write for each byte (GPT-2's
 * bytes_to_unicode): itself where it is visible in Latin-1, else the next from 256 on.
 */
export const ALPHABET: readonly string[] = byteAlphabet();

const BYTE_OF: ReadonlyMap<string, number> = new Map(ALPHABET.map((char, byte) => [char, byte]));

const utf8 = new TextEncoder();

/** The bytes that a token means; one that is not written in the alphabet means its own UTF-8. */
export function bytesOfToken(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = BYTE_OF.get(token.charAt(i));
    if (byte === undefined) return utf8.encode(token);
    bytes[i] = byte;
  }
  return bytes;
}

/** How a vocabulary writes `bytes`. */
export function inAlphabet(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => ALPHABET[byte] ?? "").join("");
}

function byteAlphabet(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const visible = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCodePoint(visible ? byte : next++);
  });
}

/**
 * A precompiled character map: the normalization rules of a SentencePiece model, as
 * bytes. A 32-bit length, a double-array trie (darts-clone) from byte sequences to
 * offsets, and the replacements that the offsets are in, each ended by a zero byte.
 *
 * Two programs read it differently, and models were trained with both. SentencePiece
 * (and so GGUF) replaces the longest sequence that begins at each character. Hugging
 * Face's replaces by grapheme the shortest, and drops what is left of the grapheme.
 */
import { broken } from "./components.js";

/** Graphemes of more bytes are replaced character by character. */
const LONGEST_GRAPHEME = 5;

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

export class CharsMap {
  readonly #units: Uint32Array;
  readonly #replacements: Uint8Array;

  /** Throws EMODEL when `bytes` are no map. */
  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const size = bytes.length < 4 ? 0 : view.getUint32(0, true);
    if (size === 0 || size % 4 !== 0 || 4 + size >= bytes.length) {
      throw broken("precompiled_charsmap: its length is wrong");
    }
    this.#units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
    this.#replacements = bytes.slice(4 + size);
  }

  /** As SentencePiece does. */
  longest(text: string): string {
    let out = "";
    for (let at = 0; at < text.length; ) {
      // The rules have sequences of a few characters; 32 units are more than any.
      const ahead = utf8.encode(text.slice(at, at + 32));
      const match = this.#match(ahead, true);
      const length = match ? fromUtf8.decode(ahead.subarray(0, match.length)).length : 0;
      if (match && length > 0) {
        out += match.text;
        at += length;
      } else {
        const char = String.fromCodePoint(text.codePointAt(at) ?? 0);
        out += char;
        at += char.length;
      }
    }
    return out;
  }

  /** As Hugging Face tokenizers do. */
  byGrapheme(text: string): string {
    let out = "";
    for (const { segment } of graphemes.segment(text)) {
      const bytes = utf8.encode(segment);
      const whole = bytes.length <= LONGEST_GRAPHEME ? this.#match(bytes, false) : undefined;
      if (whole) out += whole.text;
      else for (const char of segment) out += this.#match(utf8.encode(char), false)?.text ?? char;
    }
    return out;
  }

  /** The longest or the shortest sequence that `bytes` begins with. */
  #match(bytes: Uint8Array, longest: boolean): { text: string; length: number } | undefined {
    let found: { text: string; length: number } | undefined;
    let node = offset(this.#units[0] ?? 0);
    for (const [i, byte] of bytes.entries()) {
      if (byte === 0) break;
      node ^= byte;
      const unit = this.#units[node] ?? 0;
      if ((unit & 0x800000ff) >>> 0 !== byte) break;
      node ^= offset(unit);
      if (((unit >>> 8) & 1) === 0) continue;
      found = { text: this.#replacement((this.#units[node] ?? 0) & 0x7fffffff), length: i + 1 };
      if (!longest) break;
    }
    return found;
  }

  #replacement(from: number): string {
    const end = this.#replacements.indexOf(0, from);
    return fromUtf8.decode(this.#replacements.subarray(from, end < 0 ? undefined : end));
  }
}

function offset(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

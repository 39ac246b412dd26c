/**
 * The `decoder` of a `tokenizer.json`, as the bytes that each token stands for. A context
 * is text that goes on, so what a decoder does to the beginning of a whole text (it drops
 * the space that was put there) is left out.
 */
import { z } from "zod";
import { bytesOfToken } from "./byte-alphabet.js";
import { broken, parse, typeOf } from "./components.js";
import { expression, Pattern } from "./pattern.js";
import { byteOfName, SPACE } from "./piece-model.js";

/** The bytes of a token that is no special token. */
export type TokenToBytes = (token: string) => Uint8Array;

/** A step makes text of text, or ends with the bytes. */
type Step = (text: string) => string | Uint8Array;

const Sequence = z.object({ decoders: z.array(z.unknown()) });
const Replace = z.object({ pattern: Pattern, content: z.string() });
const Metaspace = z.object({ replacement: z.string().min(1).default(SPACE) });
const WordPiece = z.object({ prefix: z.string().min(1).default("##") });

const KNOWN = "ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Sequence, Strip, WordPiece";

const utf8 = new TextEncoder();

/** What `part` describes; null: tokens are written as they are. EMODEL. */
export function readDecoder(part: unknown): TokenToBytes {
  const steps = part === null || part === undefined ? [] : readSteps(part, "decoder");
  return (token) => {
    let done: string | Uint8Array = token;
    for (const step of steps) {
      if (typeof done !== "string") break;
      done = step(done);
    }
    return typeof done === "string" ? utf8.encode(done) : done;
  };
}

function readSteps(part: unknown, where: string): Step[] {
  const type = typeOf(part, where);
  switch (type) {
    case "Sequence":
      return parse(Sequence, part, where).decoders.flatMap((step, i) =>
        readSteps(step, `${where}.decoders.${i}`),
      );
    case "ByteLevel":
      return [bytesOfToken];
    case "ByteFallback":
      return [byName];
    case "Fuse":
    case "Strip": // at the beginning and the end of a whole text
      return [];
    case "Metaspace": {
      const { replacement } = parse(Metaspace, part, where);
      return [(text) => text.replaceAll(replacement, " ")];
    }
    case "Replace": {
      const { pattern, content } = parse(Replace, part, where);
      const found = expression(pattern, where);
      return [(text) => text.replace(found, () => content)];
    }
    case "WordPiece": {
      const { prefix } = parse(WordPiece, part, where);
      return [(text) => (text.startsWith(prefix) ? text.slice(prefix.length) : ` ${text}`)];
    }
    default:
      throw broken(`${where}.type: "${type}"; those that can be read: ${KNOWN}`);
  }
}

function byName(token: string): string | Uint8Array {
  const byte = byteOfName(token);
  return byte === undefined ? token : Uint8Array.of(byte);
}

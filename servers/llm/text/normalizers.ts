/** The `normalizer` of a `tokenizer.json`: what happens to text before it is cut. */
import { z } from "zod";
import { cleanText, lowercase, spaceChinese } from "./bert-text.js";
import { CharsMap } from "./charsmap.js";
import { parse, type Reader, reader } from "./components.js";
import { expression, Pattern } from "./pattern.js";
import type { Place } from "./place.js";

/** Text to text. A `text` gets nothing put before it (place.ts). */
export type Normalize = (text: string, place: Place) => string;

const Sequence = z.object({ normalizers: z.array(z.unknown()) });
const Replace = z.object({ pattern: Pattern, content: z.string() });
const Prepend = z.object({ prepend: z.string() });
const Strip = z.object({ strip_left: z.boolean(), strip_right: z.boolean() });
const Precompiled = z.object({
  precompiled_charsmap: z.base64(),
  /** Our own: replace as SentencePiece does (charsmap.ts). */
  longest: z.boolean().default(false),
});
const Bert = z.object({
  clean_text: z.boolean().default(true),
  handle_chinese_chars: z.boolean().default(true),
  strip_accents: z.boolean().nullish(),
  lowercase: z.boolean().default(true),
});

const readStep: Reader<Normalize> = reader<Normalize>({
  Sequence: (part, where) => {
    const { normalizers } = parse(Sequence, part, where);
    const steps = normalizers.map((step, i) => readStep(step, `${where}.normalizers.${i}`));
    return (text, place) => steps.reduce((done, step) => step(done, place), text);
  },
  NFC: () => (text) => text.normalize("NFC"),
  NFD: () => (text) => text.normalize("NFD"),
  NFKC: () => (text) => text.normalize("NFKC"),
  NFKD: () => (text) => text.normalize("NFKD"),
  Lowercase: () => lowercase,
  StripAccents: () => (text) => text.replace(/\p{M}/gu, ""),
  Replace: (part, where) => {
    const { pattern, content } = parse(Replace, part, where);
    const found = expression(pattern, where);
    return (text) => text.replace(found, () => content);
  },
  Prepend: (part, where) => {
    const { prepend } = parse(Prepend, part, where);
    return (text, place) => (place === "text" || text === "" ? text : prepend + text);
  },
  Strip: (part, where) => {
    const { strip_left, strip_right } = parse(Strip, part, where);
    return (text) => strip(text, strip_left, strip_right);
  },
  Precompiled: (part, where) => {
    const { precompiled_charsmap, longest } = parse(Precompiled, part, where);
    const map = new CharsMap(Buffer.from(precompiled_charsmap, "base64"));
    return longest ? (text) => map.longest(text) : (text) => map.byGrapheme(text);
  },
  BertNormalizer: (part, where) => bert(parse(Bert, part, where)),
});

/** The normalizer that `part` describes; null: text stays as it is. EMODEL. */
export function readNormalizer(part: unknown): Normalize {
  return part === null || part === undefined ? (text) => text : readStep(part, "normalizer");
}

function bert(options: z.infer<typeof Bert>): Normalize {
  return (text) => {
    let out = options.clean_text ? cleanText(text) : text;
    if (options.handle_chinese_chars) out = spaceChinese(out);
    if (options.strip_accents ?? options.lowercase) {
      out = out.normalize("NFD").replace(/\p{Mn}/gu, "");
    }
    return options.lowercase ? lowercase(out) : out;
  };
}

const SPACE = /\p{White_Space}/u;

/** By hand: an expression for the end of a text tries each run of white space within it. */
function strip(text: string, left: boolean, right: boolean): string {
  let start = 0;
  let end = text.length;
  while (left && start < end && SPACE.test(text.charAt(start))) start++;
  while (right && end > start && SPACE.test(text.charAt(end - 1))) end--;
  return text.slice(start, end);
}

/** The `pre_tokenizer` of a `tokenizer.json`: how text is cut into pieces. */
import { z } from "zod";
import { PUNCTUATION } from "./bert-text.js";
import { broken, parse, type Reader, reader, typeOf } from "./components.js";
import { expression, Pattern, type Span, spans } from "./pattern.js";
import type { Place } from "./place.js";

/** Cuts text into pieces, none empty. */
export type Split = (text: string, place: Place) => string[];

export interface PreTokenizer {
  readonly split: Split;
  /** Pieces are encoded as bytes, not as characters. */
  readonly byteLevel: boolean;
}

/** How GPT-2 cuts text, and with it every ByteLevel step that has no expression of its own. */
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";
const WORDS = new RegExp(`[${WORD}]+|[^${WORD}\\p{White_Space}]+`, "gu");
const SPACES = /\p{White_Space}+/gu;

const BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"];
const Behavior = z.enum(BEHAVIORS);

const Sequence = z.object({ pretokenizers: z.array(z.unknown()) });
const SplitStep = z.object({
  pattern: Pattern,
  behavior: Behavior,
  invert: z.boolean().default(false),
});
const Digits = z.object({ individual_digits: z.boolean().default(false) });
const Punctuation = z.object({ behavior: Behavior.default("Isolated") });
const Delimiter = z.object({ delimiter: z.string().min(1) });
const ByteLevel = z.object({
  add_prefix_space: z.boolean().default(true),
  use_regex: z.boolean().default(true),
});
const Metaspace = z.object({
  replacement: z.string().min(1).default("▁"),
  prepend_scheme: z.enum(["always", "first", "never"]).optional(),
  add_prefix_space: z.boolean().optional(),
  split: z.boolean().default(true),
});

const readStep: Reader<Split> = reader({
  Split: (part, where) => {
    const { pattern, behavior, invert } = parse(SplitStep, part, where);
    return cutter(expression(pattern, where), behavior, invert);
  },
  Digits: (part, where) => {
    const { individual_digits } = parse(Digits, part, where);
    return cutter(individual_digits ? /\p{N}/gu : /\p{N}+/gu, "Isolated");
  },
  Punctuation: (part, where) => cutter(PUNCTUATION, parse(Punctuation, part, where).behavior),
  CharDelimiterSplit: (part, where) => {
    const { delimiter } = parse(Delimiter, part, where);
    return cutter(expression({ String: delimiter }, where), "Removed");
  },
  Whitespace: () => cutter(WORDS, "Removed", true),
  WhitespaceSplit: () => cutter(SPACES, "Removed"),
  BertPreTokenizer: () => inTurn([cutter(SPACES, "Removed"), cutter(PUNCTUATION, "Isolated")]),
  ByteLevel: (part, where) => byteLevel(parse(ByteLevel, part, where), where),
  Metaspace: (part, where) => metaspace(parse(Metaspace, part, where), where),
  Sequence: (part, where) => {
    const { pretokenizers } = parse(Sequence, part, where);
    return inTurn(pretokenizers.map((step, i) => readStep(step, `${where}.pretokenizers.${i}`)));
  },
});

/** The pre-tokenizer that `part` describes; null: a text is one piece. EMODEL. */
export function readPreTokenizer(part: unknown): PreTokenizer {
  if (part === null || part === undefined) return { split: inTurn([]), byteLevel: false };
  const types = flatTypes(part, "pre_tokenizer");
  const first = types.indexOf("ByteLevel");
  if (first >= 0 && first < types.length - 1) {
    throw broken("pre_tokenizer: a step follows ByteLevel, which must be the last");
  }
  return { split: readStep(part, "pre_tokenizer"), byteLevel: first >= 0 };
}

function flatTypes(part: unknown, where: string): string[] {
  const type = typeOf(part, where);
  if (type !== "Sequence") return [type];
  return parse(Sequence, part, where).pretokenizers.flatMap((step, i) =>
    flatTypes(step, `${where}.pretokenizers.${i}`),
  );
}

/** Each step cuts the pieces of the one before; only the first piece is where the text was. */
function inTurn(steps: readonly Split[]): Split {
  return (text, place) =>
    steps.reduce(
      (pieces, step) => pieces.flatMap((piece, i) => step(piece, i === 0 ? place : "section")),
      text === "" ? [] : [text],
    );
}

function byteLevel(options: z.infer<typeof ByteLevel>, where: string): Split {
  const { add_prefix_space, use_regex } = options;
  const cut = use_regex
    ? cutter(expression({ Regex: GPT2 }, where), "Isolated")
    : (text: string) => [text];
  return (text, place) => {
    const prefix = add_prefix_space && place !== "text" && !text.startsWith(" ");
    return cut(prefix ? ` ${text}` : text, place);
  };
}

function metaspace(options: z.infer<typeof Metaspace>, where: string): Split {
  const { replacement, split, add_prefix_space } = options;
  const scheme = options.prepend_scheme ?? (add_prefix_space === false ? "never" : "always");
  const cut = cutter(expression({ String: replacement }, where), "MergedWithNext");
  return (text, place) => {
    const spaced = text.replaceAll(" ", replacement);
    const wanted = scheme === "always" ? place !== "text" : scheme === "first" && place === "start";
    const whole = wanted && !spaced.startsWith(replacement) ? replacement + spaced : spaced;
    return split ? cut(whole, place) : [whole];
  };
}

/** Cuts where `pattern` matches; `invert`: where it does not. */
function cutter(pattern: RegExp, behavior: string, invert = false): Split {
  return (text) =>
    arranged(spans(text, pattern), behavior, !invert).map(({ start, end }) =>
      text.slice(start, end),
    );
}

/** The pieces, of spans of which those with `match === wanted` are delimiters. */
function arranged(all: readonly Span[], behavior: string, wanted: boolean): readonly Span[] {
  if (behavior === "Isolated") return all;
  if (behavior === "Removed") return all.filter(({ match }) => match !== wanted);
  const pieces: Span[] = [];
  const backwards = behavior === "MergedWithNext";
  let previous = !wanted;
  for (const span of backwards ? all.toReversed() : all) {
    const last = pieces.at(-1);
    const joins =
      behavior === "Contiguous"
        ? span.match === previous
        : span.match === wanted && previous !== wanted;
    previous = span.match;
    if (joins && last) {
      const [start, end] = backwards ? [span.start, last.end] : [last.start, span.end];
      pieces[pieces.length - 1] = { start, end, match: last.match };
    } else pieces.push(span);
  }
  return backwards ? pieces.reverse() : pieces;
}

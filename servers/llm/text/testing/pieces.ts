/** Small tokenizers of the kinds that come from SentencePiece, and of BERT's, for tests. */
import { scoredJson, unigramJson, wordPieceJson } from "../../models/tokenizer-json-pieces.js";

const BYTES = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
);
const CHARS = [..."▁abcdehit.,é世"];
const JOINED = [
  "th",
  "▁t",
  "he",
  "▁the",
  "ab",
  "aa",
  "aaa",
  "▁a",
  "▁▁",
  "▁▁▁▁",
  "é世",
  "bc",
  "abc",
];

export const WHOLE = ["<unk>", "<s>", "</s>"];
export const TEXTS_OF_SCORED: readonly string[] = [...CHARS, ...JOINED];

/** Ids 0-2 are special, 3-258 the bytes, then come characters and what they join to. */
export function scoredTokenizer({ spacePrefix = false, scores = [] as number[] } = {}): object {
  const tokens = [...WHOLE, ...BYTES, ...TEXTS_OF_SCORED, "  \t"];
  return scoredJson({
    tokens,
    scores: tokens.map((_, id) => scores[id - 259] ?? (id < 259 ? 0 : 259 - id)),
    special: [0, 1, 2],
    added: [tokens.length - 1],
    prefix: [1],
    unknown: 0,
    spacePrefix,
  });
}

export function unigramTokenizer(scores: readonly number[], charsMap?: Uint8Array): object {
  const tokens = [...WHOLE, ...TEXTS_OF_SCORED];
  return unigramJson({
    tokens,
    scores: tokens.map((_, id) => scores[id - 3] ?? -id),
    special: [0, 1, 2],
    suffix: [2],
    unknown: 0,
    spacePrefix: true,
    charsMap,
    removeExtraSpaces: false,
  });
}

export function wordPieceTokenizer(): object {
  const tokens = [
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "un",
    "##aff",
    "##able",
    "the",
    ",",
    "cafe",
    "##s",
    "人",
  ];
  return wordPieceJson({
    tokens,
    special: [0, 1, 2],
    prefix: [1],
    suffix: [2],
    unknown: 0,
    lowercase: true,
    stripAccents: true,
  });
}

/**
 * Makes `tokenizer.json` in the format of Hugging Face tokenizers: byte-level BPE. Its
 * neighbours make the other kinds.
 */
import { PRE_TOKENIZERS } from "./tokenizer-json-pre.js";

/** Tokens that are matched in text as a whole, before anything else. */
export interface WholeTokens {
  /** Ids of those that are no text. */
  readonly special: readonly number[];
  /** Ids of those that are text. */
  readonly added?: readonly number[];
  /** Ids put before a whole text, and behind it. */
  readonly prefix?: readonly number[];
  readonly suffix?: readonly number[];
}

export interface BpeVocabulary extends WholeTokens {
  /** Token texts in the byte alphabet, by id; special tokens as they are. */
  readonly tokens: readonly string[];
  /** Pairs of token texts, best first. */
  readonly merges: readonly (readonly [string, string])[];
  /** A key of PRE_TOKENIZERS. */
  readonly pre: string;
}

/** The object to write as `tokenizer.json`. */
export function tokenizerJson(vocabulary: BpeVocabulary): object {
  const { tokens, merges, pre } = vocabulary;
  const { splits = [], ignoreMerges = false } = PRE_TOKENIZERS.get(pre) ?? {};
  return envelope(tokens, vocabulary, {
    normalizer: null,
    pre_tokenizer: { type: "Sequence", pretokenizers: [...splits.map(split), byteLevel()] },
    decoder: byteLevel(),
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: ignoreMerges,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.map(([left, right]) => [left, right]),
    },
  });
}

/** What every kind of `tokenizer.json` has around its parts. `tokens`: texts by id. */
export function envelope(tokens: readonly string[], whole: WholeTokens, parts: object): object {
  const { special, added = [], prefix = [], suffix = [] } = whole;
  const around = prefix.length + suffix.length > 0;
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [
      ...special.flatMap((id) => addedToken(id, tokens[id], true)),
      ...added.flatMap((id) => addedToken(id, tokens[id], false)),
    ],
    post_processor: around ? templateProcessing(tokens, prefix, suffix) : null,
    ...parts,
  };
}

function addedToken(id: number, content: string | undefined, special: boolean): object[] {
  if (content === undefined || content === "") return [];
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return [{ id, content, special, ...plain }];
}

function templateProcessing(
  tokens: readonly string[],
  prefix: readonly number[],
  suffix: readonly number[],
): object {
  const name = (id: number): string => tokens[id] ?? "";
  const piece = (id: number): object => ({ SpecialToken: { id: name(id), type_id: 0 } });
  const sequence = (id: string, type_id: number): object => ({ Sequence: { id, type_id } });
  const ids = [...new Set([...prefix, ...suffix])];
  return {
    type: "TemplateProcessing",
    single: [...prefix.map(piece), sequence("A", 0), ...suffix.map(piece)],
    pair: [...prefix.map(piece), sequence("A", 0), sequence("B", 1), ...suffix.map(piece)],
    special_tokens: Object.fromEntries(
      ids.map((id) => [name(id), { id: name(id), ids: [id], tokens: [name(id)] }]),
    ),
  };
}

/** Each match a piece of its own. */
function split(regex: string): object {
  return { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false };
}

function byteLevel(): object {
  return { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
}

/**
 * The printable character that stands for each byte in byte-level vocabularies
 * (GPT-2's `bytes_to_unicode`): itself where it is visible in Latin-1, else the
 * next free code point from 256 on.
 */
export function byteAlphabet(): string[] {
  const visible = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(visible(byte) ? byte : next++),
  );
}

/**
 * Makes `tokenizer.json` in the format of Hugging Face tokenizers: byte-level BPE.
 */

/** How text is cut before BPE merges within the pieces, by GGUF's `tokenizer.ggml.pre`. */
export const PRE_TOKENIZERS: Readonly<Record<string, readonly object[]>> = {
  default: [byteLevel(true)],
  "gpt-2": [byteLevel(true)],
  smollm: [split("\\p{N}"), byteLevel(true)],
};

export interface BpeVocabulary {
  /** Token texts in the byte alphabet, by id; special tokens as they are. */
  readonly tokens: readonly string[];
  /** Pairs of token texts, best first. */
  readonly merges: readonly (readonly [string, string])[];
  /** Ids that are matched in text as a whole, before anything else. */
  readonly special: readonly number[];
  /** Ids that are matched likewise, but are text. */
  readonly added?: readonly number[];
  /** A key of PRE_TOKENIZERS. */
  readonly pre: string;
}

/** The object to write as `tokenizer.json`. */
export function tokenizerJson(vocabulary: BpeVocabulary): object {
  const { tokens, merges, special, added = [], pre } = vocabulary;
  const steps = PRE_TOKENIZERS[pre] ?? [];
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [
      ...special.map((id) => addedToken(id, tokens[id], true)),
      ...added.map((id) => addedToken(id, tokens[id], false)),
    ],
    normalizer: null,
    pre_tokenizer: steps.length === 1 ? steps[0] : { type: "Sequence", pretokenizers: steps },
    post_processor: null,
    decoder: byteLevel(true),
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.map(([left, right]) => [left, right]),
    },
  };
}

function addedToken(id: number, content: string | undefined, special: boolean): object {
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return { id, content, special, ...plain };
}

/** Each match a piece of its own. */
function split(regex: string): object {
  return { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false };
}

function byteLevel(useRegex: boolean): object {
  return { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: useRegex };
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

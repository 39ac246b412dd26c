/**
 * Makes `tokenizer.json` of the kinds that come from SentencePiece (BPE by scores, and
 * unigram), and of BERT's WordPiece.
 */
import { envelope, type WholeTokens } from "./tokenizer-json.js";

const SPACE = "▁";

export interface ScoredVocabulary extends WholeTokens {
  /** Token texts by id, with "▁" for a space. */
  readonly tokens: readonly string[];
  /** By id; a higher one goes first. */
  readonly scores: readonly number[];
  /** What stands for a character that is in no token and has no bytes. */
  readonly unknown: number;
  /** Put a space before a text. */
  readonly spacePrefix: boolean;
}

export interface UnigramVocabulary extends ScoredVocabulary {
  /** Rules of normalization as SentencePiece compiles them. */
  readonly charsMap: Uint8Array | undefined;
  /** Make runs of spaces one, and drop those at the ends. */
  readonly removeExtraSpaces: boolean;
}

export interface WordPieceVocabulary extends WholeTokens {
  /** Token texts by id; what goes on within a word begins with "##". */
  readonly tokens: readonly string[];
  readonly unknown: number;
  readonly lowercase: boolean;
  readonly stripAccents: boolean;
}

/** BPE by scores, GGUF's "llama". */
export function scoredJson(vocabulary: ScoredVocabulary): object {
  return envelope(vocabulary.tokens, vocabulary, {
    normalizer: sequence(spaces(vocabulary.spacePrefix)),
    pre_tokenizer: null,
    decoder: fromSpaces(),
    // A type of our own (servers/llm/text/model-scored.ts).
    model: { type: "ScoredBPE", unk_id: vocabulary.unknown, vocab: scored(vocabulary) },
  });
}

/** GGUF's "t5". */
export function unigramJson(vocabulary: UnigramVocabulary): object {
  const { charsMap, removeExtraSpaces, spacePrefix } = vocabulary;
  const precompiled_charsmap = charsMap && Buffer.from(charsMap).toString("base64");
  return envelope(vocabulary.tokens, vocabulary, {
    normalizer: sequence([
      ...(charsMap ? [{ type: "Precompiled", precompiled_charsmap, longest: true }] : []),
      ...(removeExtraSpaces
        ? [replace({ Regex: " {2,}" }, " "), replace({ Regex: "\\A | \\z" }, "")]
        : []),
      ...spaces(spacePrefix || removeExtraSpaces),
    ]),
    pre_tokenizer: null,
    decoder: fromSpaces(),
    model: {
      type: "Unigram",
      unk_id: vocabulary.unknown,
      byte_fallback: false,
      vocab: scored(vocabulary),
    },
  });
}

/** GGUF's "bert". */
export function wordPieceJson(vocabulary: WordPieceVocabulary): object {
  const { tokens, unknown, lowercase, stripAccents } = vocabulary;
  return envelope(tokens, vocabulary, {
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: stripAccents,
      lowercase,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    decoder: { type: "WordPiece", prefix: "##", cleanup: false },
    model: {
      type: "WordPiece",
      unk_token: tokens[unknown] ?? "",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
  });
}

function scored({ tokens, scores }: ScoredVocabulary): (string | number)[][] {
  return tokens.map((token, id) => [token, scores[id] ?? 0]);
}

function sequence(normalizers: readonly object[]): object {
  return { type: "Sequence", normalizers };
}

function spaces(prefix: boolean): object[] {
  const before = prefix ? [{ type: "Prepend", prepend: SPACE }] : [];
  return [...before, replace({ String: " " }, SPACE)];
}

function fromSpaces(): object {
  const back = replace({ String: SPACE }, " ");
  return { type: "Sequence", decoders: [back, { type: "ByteFallback" }, { type: "Fuse" }] };
}

function replace(pattern: object, content: string): object {
  return { type: "Replace", pattern, content };
}

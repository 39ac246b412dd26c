/**
 * Reads a `tokenizer.json` (format of Hugging Face tokenizers), our own or another's. What
 * it has that is not known here is a typed error that names it, never another tokenization.
 */
import { z } from "zod";
import { broken, parse, reader } from "./components.js";
import { readDecoder, type TokenToBytes } from "./decoders.js";
import { readBpe } from "./model-bpe.js";
import { readScoredBpe, SCORED_BPE } from "./model-scored.js";
import { readUnigram } from "./model-unigram.js";
import { readWordPiece } from "./model-wordpiece.js";
import { type Normalize, readNormalizer } from "./normalizers.js";
import { type ModelContext, type PieceModel, SPACE } from "./piece-model.js";
import { type Around, readPostProcessor } from "./post-processors.js";
import { readPreTokenizer, type Split } from "./pre-tokenizers.js";
import { packTokenBytes, type TokenBytes } from "./token-bytes.js";

/** A token that is matched in text as a whole, before anything else. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** It is no text: it comes from a template or a caller who asked for it. */
  readonly special: boolean;
  /** Only where no word goes on beside it. */
  readonly singleWord: boolean;
  /** With the white space before it. */
  readonly lstrip: boolean;
  /** With the white space after it. */
  readonly rstrip: boolean;
  /** It is looked for in normalized text. */
  readonly normalized: boolean;
}

/** A tokenizer, in parts. */
export interface Vocabulary extends Around {
  readonly added: readonly AddedToken[];
  readonly normalize: Normalize;
  readonly split: Split;
  readonly model: PieceModel;
  /** The text of the special tokens is empty. */
  readonly tokenBytes: TokenBytes;
}

const TokenizerJson = z.object({
  added_tokens: z
    .array(
      z.object({
        id: z.number().int().nonnegative(),
        content: z.string().min(1),
        special: z.boolean(),
        single_word: z.boolean().default(false),
        lstrip: z.boolean().default(false),
        rstrip: z.boolean().default(false),
        normalized: z.boolean().default(false),
      }),
    )
    .nullish(),
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  post_processor: z.unknown(),
  decoder: z.unknown(),
  model: z.unknown(),
});
type TokenizerJson = z.infer<typeof TokenizerJson>;

const readModel = reader<(context: ModelContext) => PieceModel>({
  BPE: (part, where) => (context) => readBpe(part, where, context),
  [SCORED_BPE]: (part, where) => (context) => readScoredBpe(part, where, context),
  Unigram: (part, where) => (context) => readUnigram(part, where, context),
  WordPiece: (part, where) => (context) => readWordPiece(part, where, context),
});

/**
 * The vocabulary in a parsed `tokenizer.json`.
 * @throws ContixError EMODEL for what is not known, with the part that says so
 */
export function readVocabulary(json: unknown): Vocabulary {
  const parts = parse(TokenizerJson, json, "tokenizer");
  const added = readAdded(parts);
  const special = new Set(added.filter((token) => token.special).map(({ content }) => content));
  const { split, byteLevel } = readPreTokenizer(parts.pre_tokenizer);
  const model = readModel(parts.model, "model")({ special, byteLevel });
  return {
    added,
    normalize: readNormalizer(parts.normalizer),
    split: model.cutsAtSpace ? (text, place) => split(text, place).flatMap(cutAtSpace) : split,
    model,
    tokenBytes: readTokenBytes(model.ids, added, readDecoder(parts.decoder), byteLevel),
    ...readPostProcessor(parts.post_processor),
  };
}

function readAdded({ added_tokens }: TokenizerJson): AddedToken[] {
  return (added_tokens ?? []).map(({ single_word, ...token }) => ({
    ...token,
    singleWord: single_word,
  }));
}

/** Pieces that begin with "▁", each up to the next (PieceModel.cutsAtSpace). */
function cutAtSpace(piece: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  for (let at = piece.indexOf(SPACE, 1); at > 0; at = piece.indexOf(SPACE, at + 1)) {
    if (piece[at - 1] === SPACE) continue;
    pieces.push(piece.slice(start, at));
    start = at;
  }
  pieces.push(piece.slice(start));
  return pieces;
}

const utf8 = new TextEncoder();

/** More ids than any model has tokens: a file that claims more is broken. */
const MOST_TOKENS = 2 ** 24;

function readTokenBytes(
  ids: ReadonlyMap<string, number>,
  added: readonly AddedToken[],
  bytesOf: TokenToBytes,
  byteLevel: boolean,
): TokenBytes {
  const tokens: Uint8Array[] = [];
  const set = (id: number, bytes: Uint8Array): void => {
    if (id >= MOST_TOKENS) throw broken(`model.vocab: ${id} is no id of a token`);
    tokens[id] = bytes;
  };
  for (const [token, id] of ids) set(id, bytesOf(token));
  for (const { id, content, special } of added) {
    // Added tokens are text, which is not written in the alphabet of bytes.
    const bytes = byteLevel ? utf8.encode(content) : bytesOf(content);
    set(id, special ? new Uint8Array(0) : bytes);
  }
  const names = added.filter(({ special }) => special);
  // Ids that are no token have no text either.
  return packTokenBytes(
    Array.from(tokens, (bytes) => bytes ?? new Uint8Array(0)),
    new Map(names.map(({ id, content }) => [id, content])),
  );
}

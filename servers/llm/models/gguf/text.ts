/**
 * What a GGUF file's head says of text: tokenizer, special and end tokens, and the chat
 * template. Where it says nothing, what llama.cpp takes for granted holds.
 */
import type { ModelText } from "../compile.js";
import { tokenizerJson } from "../tokenizer-json.js";
import { scoredJson, unigramJson, wordPieceJson } from "../tokenizer-json-pieces.js";
import { PRE_TOKENIZERS } from "../tokenizer-json-pre.js";
import type { GgufHeader } from "./header.js";
import { Metadata } from "./metadata.js";
import { endTokens, readTokens, type Tokens, tokenId } from "./tokens.js";

/** Ids that hold where the file has none, by what they are for. */
type Defaults = Readonly<Record<"bos" | "eos" | "unknown" | "seperator", number | null>>;

interface Kind {
  readonly defaults: Defaults;
  readonly addBos: (meta: Metadata) => boolean;
  readonly addEos: boolean;
  readonly json: (meta: Metadata, tokens: Tokens, around: Around) => object;
}

/** Ids put before a whole text, and behind it. */
interface Around {
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
}

const NO_DEFAULTS: Defaults = { bos: null, eos: null, unknown: null, seperator: null };

/** By `tokenizer.ggml.model`. */
const KINDS: Readonly<Record<string, Kind>> = {
  gpt2: {
    defaults: NO_DEFAULTS,
    addBos: (meta) => PRE_TOKENIZERS.get(preTokenizer(meta))?.addBos ?? false,
    addEos: false,
    json: (meta, tokens, around) =>
      tokenizerJson({ ...tokens, ...around, merges: merges(meta), pre: preTokenizer(meta) }),
  },
  llama: {
    defaults: { bos: 1, eos: 2, unknown: 0, seperator: null },
    addBos: () => true,
    addEos: false,
    json: (meta, tokens, around) => {
      const spacePrefix = meta.flag("tokenizer.ggml.add_space_prefix", true);
      return scoredJson({ ...pieces(meta, tokens), ...around, spacePrefix });
    },
  },
  t5: {
    defaults: { bos: null, eos: 1, unknown: 2, seperator: null },
    addBos: () => false,
    addEos: true,
    json: (meta, tokens, around) =>
      unigramJson({
        ...pieces(meta, tokens),
        ...around,
        spacePrefix: meta.flag("tokenizer.ggml.add_space_prefix", false),
        removeExtraSpaces: meta.flag("tokenizer.ggml.remove_extra_whitespaces", false),
        charsMap: charsMap(meta),
      }),
  },
  bert: {
    defaults: { bos: 101, eos: null, unknown: 100, seperator: 102 },
    addBos: () => true,
    addEos: false,
    json: (meta, tokens, around) => {
      const lowercase = meta.flag("tokenizer.ggml.normalizer.lowercase", true);
      return wordPieceJson({
        ...tokens,
        ...around,
        tokens: tokens.tokens.map(wordPiece),
        unknown: idOf(meta, "unknown", tokens) ?? 0,
        lowercase,
        stripAccents: meta.flag("tokenizer.ggml.normalizer.strip_accents", lowercase),
      });
    },
  },
};

/**
 * Tokenizer, special tokens and chat template of the file.
 * @throws ContixError EMODEL that names the entry at fault, or a kind of tokenizer
 * that can not be read.
 */
export function modelText(header: GgufHeader): ModelText {
  const meta = new Metadata(header);
  const kind = kindOf(meta);
  const tokens = readTokens(meta);
  const bosId = idOf(meta, "bos", tokens);
  const eosId = idOf(meta, "eos", tokens);
  const addBos = meta.flag("tokenizer.ggml.add_bos_token", kind.addBos(meta)) && bosId !== null;
  const addEos = meta.flag("tokenizer.ggml.add_eos_token", kind.addEos);
  // Two texts are told apart by it, and one ends with it.
  const last = idOf(meta, "seperator", tokens) ?? (addEos ? eosId : null);
  const around: Around = {
    prefix: addBos && bosId !== null ? [bosId] : [],
    suffix: last === null || (kind !== KINDS.bert && !addEos) ? [] : [last],
  };
  const template = "tokenizer.chat_template";
  return {
    bosId,
    addBos,
    eosIds: endTokens(meta, tokens, eosId),
    chatTemplate: meta.has(template) ? meta.text(template) : null,
    tokenizer: kind.json(meta, tokens, around),
  };
}

function kindOf(meta: Metadata): Kind {
  const key = "tokenizer.ggml.model";
  const name = meta.text(key);
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (kind !== undefined) return kind;
  const known = Object.keys(KINDS).join(", ");
  throw meta.unusable(key, `"${name}"; those that can be read: ${known}`);
}

function idOf(meta: Metadata, which: keyof Defaults, { tokens }: Tokens): number | null {
  const listed = tokenId(meta, which, tokens.length);
  const assumed = kindOf(meta).defaults[which];
  return listed ?? (assumed !== null && assumed < tokens.length ? assumed : null);
}

function preTokenizer(meta: Metadata): string {
  const pre = meta.text("tokenizer.ggml.pre", "default");
  if (!PRE_TOKENIZERS.has(pre)) {
    const known = [...PRE_TOKENIZERS.keys()].join(", ");
    throw meta.unusable("tokenizer.ggml.pre", `"${pre}"; those that can be read: ${known}`);
  }
  return pre;
}

/** Merges are "left right"; in the byte alphabet no token holds a space. */
function merges(meta: Metadata): [string, string][] {
  return meta.texts("tokenizer.ggml.merges").map((merge, i) => {
    const space = merge.indexOf(" ", 1);
    if (space < 0 || space === merge.length - 1) {
      throw meta.unusable(`tokenizer.ggml.merges[${i}]`, `"${merge}" is no pair`);
    }
    return [merge.slice(0, space), merge.slice(space + 1)];
  });
}

function pieces(meta: Metadata, tokens: Tokens) {
  const key = "tokenizer.ggml.scores";
  const scores = meta.list(key).map((score, i) => {
    if (typeof score === "number" && Number.isFinite(score)) return score;
    throw meta.unusable(`${key}[${i}]`, `${String(score)} is no score`);
  });
  const count = tokens.tokens.length;
  if (scores.length !== count) {
    const why = `vocabulary mismatch: ${scores.length} scores for ${count} tokens`;
    throw meta.unusable(key, why);
  }
  const unknown = idOf(meta, "unknown", tokens);
  if (unknown === null) throw meta.unusable("tokenizer.ggml.unknown_token_id", "there is none");
  return { ...tokens, scores, unknown };
}

function charsMap(meta: Metadata): Uint8Array | undefined {
  const key = "tokenizer.ggml.precompiled_charsmap";
  if (!meta.has(key)) return undefined;
  return Uint8Array.from(meta.list(key), (value) => {
    if (typeof value === "number") return value & 0xff;
    throw meta.unusable(key, `${String(value)} is no byte`);
  });
}

/** A file writes "▁" before what begins a word, and nothing before what goes on. */
function wordPiece(token: string): string {
  if (token.startsWith("[") && token.endsWith("]")) return token;
  return token.startsWith("▁") ? token.slice(1) : `##${token}`;
}

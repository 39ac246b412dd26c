/** The tokens that a GGUF file's head lists: their texts, and which of them are no text. */
import type { Metadata } from "./metadata.js";

export interface Tokens {
  /** Texts by id, each there once. */
  readonly tokens: readonly string[];
  /** Ids that are no text. */
  readonly special: readonly number[];
  /** Ids that are text, but are matched as a whole. */
  readonly added: readonly number[];
}

/** Values of `tokenizer.ggml.token_type`. */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;

/** End tokens by name: models list one id, and stop at several. */
const END_NAMES: readonly string[] = [
  "<|im_end|>",
  "<|endoftext|>",
  "<|eot_id|>",
  "<|eom_id|>",
  "<|end_of_text|>",
  "<|end|>",
  "<end_of_turn>",
  "<end_of_utterance>",
  "<｜end▁of▁sentence｜>",
  "<|return|>",
  "<|call|>",
  "<EOT>",
];

/** One that is the name of an HTML element too: some models have that as text. */
const END_NAME_OR_TEXT = "</s>";

/** End tokens by metadata. */
const END_KEYS: readonly string[] = ["eot", "eom"];

/** Throws EMODEL for a text that is there twice, and for types that do not match. */
export function readTokens(meta: Metadata): Tokens {
  const tokens = meta.texts("tokenizer.ggml.tokens");
  checkUnique(meta, tokens);
  const types = tokenTypes(meta, tokens.length);
  const isSpecial = (id: number): boolean =>
    types[id] === CONTROL || types[id] === UNKNOWN || isNamedEnd(tokens[id], types[id]);
  const ids = Array.from(types.keys());
  return {
    tokens,
    special: ids.filter(isSpecial),
    added: ids.filter((id) => types[id] === USER_DEFINED && !isSpecial(id)),
  };
}

/** Every token that ends a generation, by metadata and by name; the file's own is the first. */
export function endTokens(meta: Metadata, tokens: Tokens, eosId: number | null): readonly number[] {
  const special = new Set(tokens.special);
  const named = [...END_NAMES, END_NAME_OR_TEXT]
    .map((name) => tokens.tokens.indexOf(name))
    .filter((id) => special.has(id));
  const listed = END_KEYS.flatMap((key) => tokenId(meta, key, tokens.tokens.length) ?? []);
  const all = [...(eosId === null ? [] : [eosId]), ...listed, ...named];
  return [...new Set(all)];
}

/** The id in `tokenizer.ggml.<which>_token_id`, if there is one. EMODEL when it is no token's. */
export function tokenId(meta: Metadata, which: string, tokens: number): number | null {
  const key = `tokenizer.ggml.${which}_token_id`;
  if (!meta.has(key)) return null;
  const id = meta.count(key);
  if (id >= tokens) throw meta.unusable(key, `${id} of ${tokens} tokens (vocabulary mismatch)`);
  return id;
}

/** Some files say of an end token that it is text to be matched as a whole. */
function isNamedEnd(token: string | undefined, type: unknown): boolean {
  return type === USER_DEFINED && token !== undefined && END_NAMES.includes(token);
}

function checkUnique(meta: Metadata, tokens: readonly string[]): void {
  const seen = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    const first = seen.get(token);
    if (first !== undefined) {
      const why = `vocabulary mismatch: ${first} and ${id} are both ${JSON.stringify(token)}`;
      throw meta.unusable("tokenizer.ggml.tokens", why);
    }
    seen.set(token, id);
  }
}

function tokenTypes(meta: Metadata, tokens: number): readonly unknown[] {
  if (!meta.has("tokenizer.ggml.token_type")) return [];
  const types = meta.list("tokenizer.ggml.token_type");
  if (types.length !== tokens) {
    const why = `vocabulary mismatch: ${types.length} types for ${tokens} tokens`;
    throw meta.unusable("tokenizer.ggml.token_type", why);
  }
  return types;
}

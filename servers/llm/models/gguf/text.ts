/**
 * What a GGUF file's head says of text: vocabulary, merges, special and end tokens,
 * and the chat template.
 */
import type { ModelText } from "../compile.js";
import { PRE_TOKENIZERS, tokenizerJson } from "../tokenizer-json.js";
import type { GgufHeader } from "./header.js";
import { Metadata } from "./metadata.js";

/** Values of `tokenizer.ggml.token_type`. */
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
  "</s>",
];

/** End tokens by metadata. */
const END_KEYS: readonly string[] = ["eos", "eot", "eom"];

/**
 * Tokenizer, special tokens and chat template of the file.
 * @throws ContixError EMODEL that names the entry at fault, or a kind of tokenizer
 * that can not be read.
 */
export function modelText(header: GgufHeader): ModelText {
  const meta = new Metadata(header);
  const kind = meta.text("tokenizer.ggml.model");
  if (kind !== "gpt2") {
    throw meta.unusable(
      "tokenizer.ggml.model",
      `"${kind}"; only "gpt2" (byte-level BPE) can be read`,
    );
  }
  const tokens = meta.texts("tokenizer.ggml.tokens");
  checkUnique(meta, tokens);
  const types = tokenTypes(meta, tokens.length);
  const template = "tokenizer.chat_template";
  return {
    bosId: tokenId(meta, "bos", tokens.length),
    addBos: meta.flag("tokenizer.ggml.add_bos_token", false),
    eosIds: endTokens(meta, tokens, types),
    chatTemplate: meta.has(template) ? meta.text(template) : null,
    tokenizer: tokenizerJson({
      tokens,
      merges: merges(meta),
      special: idsOfType(types, CONTROL),
      added: idsOfType(types, USER_DEFINED),
      pre: preTokenizer(meta),
    }),
  };
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

function preTokenizer(meta: Metadata): string {
  const pre = meta.text("tokenizer.ggml.pre", "default");
  if (!Object.hasOwn(PRE_TOKENIZERS, pre)) {
    const known = Object.keys(PRE_TOKENIZERS).join(", ");
    throw meta.unusable("tokenizer.ggml.pre", `"${pre}"; those that can be read: ${known}`);
  }
  return pre;
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

function idsOfType(types: readonly unknown[], wanted: number): number[] {
  return types.flatMap((type, id) => (type === wanted ? [id] : []));
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

function endTokens(
  meta: Metadata,
  tokens: readonly string[],
  types: readonly unknown[],
): readonly number[] {
  const named = END_NAMES.map((name) => tokens.indexOf(name)).filter(
    (id) => id >= 0 && types[id] === CONTROL,
  );
  const listed = END_KEYS.flatMap((key) => tokenId(meta, key, tokens.length) ?? []);
  return [...new Set([...listed, ...named])].sort((a, b) => a - b);
}

function tokenId(meta: Metadata, which: string, tokens: number): number | null {
  const key = `tokenizer.ggml.${which}_token_id`;
  if (!meta.has(key)) return null;
  const id = meta.count(key);
  if (id >= tokens) throw meta.unusable(key, `${id} of ${tokens} tokens (vocabulary mismatch)`);
  return id;
}

/**
 * Reads a `tokenizer.json` (format of Hugging Face tokenizers) of the one kind that
 * compiled models have: byte-level BPE. Any other kind is a typed error that says what
 * it is, never another tokenization.
 */
import { z } from "zod";
import { ContixError } from "../../../proto/errno.js";
import type { Merges } from "./bpe.js";
import { packTokenBytes, type TokenBytes } from "./token-bytes.js";

/** A token that is matched in text as a whole, before anything else. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** It is no text: it comes from a template or a caller who asked for it. */
  readonly special: boolean;
}

export interface Vocabulary {
  readonly merges: Merges;
  /** Regular expressions (Oniguruma) that cut text, one after the other, each match a piece. */
  readonly splits: readonly string[];
  readonly added: readonly AddedToken[];
  /** Pieces that are a token at once, in spite of the merges; undefined: none are. */
  readonly whole: ReadonlyMap<string, number> | undefined;
  /** The text of the special tokens is empty. */
  readonly tokenBytes: TokenBytes;
}

/** How GPT-2 cuts text, and with it every ByteLevel step that has no expression of its own. */
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const Split = z.object({
  type: z.literal("Split"),
  pattern: z.object({ Regex: z.string() }),
  behavior: z.literal("Isolated"),
  invert: z.literal(false).optional(),
});
const Digits = z.object({ type: z.literal("Digits"), individual_digits: z.boolean() });
const ByteLevel = z.object({
  type: z.literal("ByteLevel"),
  add_prefix_space: z.literal(false),
  use_regex: z.boolean().default(true),
});
const Step = z.discriminatedUnion("type", [Split, Digits, ByteLevel]);
type Step = z.infer<typeof Step>;
const Sequence = z.object({ type: z.literal("Sequence"), pretokenizers: z.array(Step) });

/** Two tokens; older files write them as one string. */
type Rule = readonly [string, string] | string;

// The two long fields are checked by hand: a schema takes half a second for them.
const isId = (value: unknown): boolean =>
  typeof value === "number" && Number.isInteger(value) && value >= 0;
const isVocab = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.values(value).every(isId);
const isRule = (value: unknown): boolean =>
  typeof value === "string" ||
  (Array.isArray(value) &&
    value.length === 2 &&
    typeof value[0] === "string" &&
    typeof value[1] === "string");
const isRules = (value: unknown): boolean => Array.isArray(value) && value.every(isRule);

const TokenizerJson = z.object({
  added_tokens: z.array(
    z.object({
      id: z.number().int().nonnegative(),
      content: z.string().min(1),
      special: z.boolean(),
      single_word: z.literal(false).optional(),
      lstrip: z.literal(false).optional(),
      rstrip: z.literal(false).optional(),
    }),
  ),
  normalizer: z.null().optional(),
  pre_tokenizer: z.union([Sequence, Step]),
  model: z.object({
    type: z.literal("BPE"),
    vocab: z.custom<Record<string, number>>(isVocab, "is no map from tokens to ids"),
    merges: z.custom<readonly Rule[]>(isRules, "is no list of pairs of tokens"),
    ignore_merges: z.boolean().optional(),
    byte_fallback: z.literal(false).optional(),
    continuing_subword_prefix: z.literal("").nullish(),
    end_of_word_suffix: z.literal("").nullish(),
  }),
});
type TokenizerJson = z.infer<typeof TokenizerJson>;

/**
 * The vocabulary in a parsed `tokenizer.json`.
 * @throws ContixError EMODEL for what is no byte-level BPE, with the field that says so
 */
export function readVocabulary(json: unknown): Vocabulary {
  const parsed = TokenizerJson.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw broken(`${issue?.path.join(".") ?? ""}: ${issue?.message ?? "is not valid"}`);
  }
  const { model, added_tokens } = parsed.data;
  const ids = new Map(Object.entries(model.vocab));
  const special = new Set(added_tokens.filter((t) => t.special).map((t) => t.content));
  for (const content of special) ids.delete(content); // no text merges into a special token
  return {
    merges: readMerges(model.merges, ids, special),
    splits: steps(parsed.data).flatMap(splitsOf),
    added: added_tokens.map(({ id, content, special }) => ({ id, content, special })),
    whole: model.ignore_merges === true ? ids : undefined,
    tokenBytes: readTokenBytes(ids, added_tokens),
  };
}

function broken(what: string): ContixError {
  return new ContixError("EMODEL", `tokenizer.json is of no kind this driver knows: ${what}`);
}

function steps({ pre_tokenizer }: TokenizerJson): Step[] {
  const all = pre_tokenizer.type === "Sequence" ? pre_tokenizer.pretokenizers : [pre_tokenizer];
  if (all.at(-1)?.type !== "ByteLevel") throw broken("pre_tokenizer does not end with ByteLevel");
  return all;
}

function splitsOf(step: Step): string[] {
  if (step.type === "Split") return [step.pattern.Regex];
  if (step.type === "Digits") return [step.individual_digits ? "\\p{N}" : "\\p{N}+"];
  return step.use_regex ? [GPT2] : [];
}

function readMerges(
  rules: readonly Rule[],
  ids: ReadonlyMap<string, number>,
  special: ReadonlySet<string>,
): Merges {
  const idOf = (token: string, rule: number): number => {
    const id = ids.get(token);
    if (id === undefined) throw broken(`model.merges.${rule}: "${token}" is no token`);
    return id;
  };
  const ranks: (Map<number, number> | undefined)[] = [];
  const merged = new Int32Array(rules.length);
  for (const [rank, rule] of rules.entries()) {
    const [left, right] = typeof rule === "string" ? halves(rule) : rule;
    if (special.has(left + right)) continue;
    const from = idOf(left, rank);
    let rights = ranks[from];
    if (rights === undefined) {
      rights = new Map();
      ranks[from] = rights;
    }
    merged[rank] = idOf(left + right, rank);
    const to = idOf(right, rank);
    if (!rights.has(to)) rights.set(to, rank);
  }
  const byteTokens = Int32Array.from(ALPHABET, (char) => ids.get(char) ?? -1);
  if (byteTokens.includes(-1) && REPLACEMENT.some((byte) => byteTokens[byte] === -1)) {
    throw broken("model.vocab: bytes are missing, and U+FFFD to stand for them is too");
  }
  return { byteTokens, ranks, merged };
}

function halves(rule: string): [string, string] {
  const space = rule.indexOf(" ", 1);
  return [rule.slice(0, space), rule.slice(space + 1)];
}

function readTokenBytes(
  ids: ReadonlyMap<string, number>,
  added: readonly AddedToken[],
): TokenBytes {
  const tokens: Uint8Array[] = [];
  for (const [token, id] of ids) tokens[id] = bytesOfToken(token);
  for (const { id, content, special } of added) {
    tokens[id] = special ? new Uint8Array(0) : utf8.encode(content);
  }
  // Ids that are no token have no text either.
  return packTokenBytes(Array.from(tokens, (bytes) => bytes ?? new Uint8Array(0)));
}

const utf8 = new TextEncoder();

/** U+FFFD in UTF-8: what stands for a character that the vocabulary has no bytes for. */
export const REPLACEMENT: readonly number[] = [0xef, 0xbf, 0xbd];

/**
 * The printable character that byte-level vocabularies write for each byte (GPT-2's
 * bytes_to_unicode): itself where it is visible in Latin-1, else the next from 256 on.
 */
const ALPHABET: readonly string[] = byteAlphabet();
const BYTE_OF: ReadonlyMap<string, number> = new Map(ALPHABET.map((char, byte) => [char, byte]));

function byteAlphabet(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const visible = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCodePoint(visible ? byte : next++);
  });
}

/** A token that is not written in the alphabet means its own UTF-8. */
function bytesOfToken(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = BYTE_OF.get(token.charAt(i));
    if (byte === undefined) return utf8.encode(token);
    bytes[i] = byte;
  }
  return bytes;
}

/** A piece of text as `whole` has it. */
export function inAlphabet(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => ALPHABET[byte] ?? "").join("");
}

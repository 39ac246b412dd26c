/** Model "BPE": of bytes (behind a ByteLevel step), or of characters with a fallback to bytes. */
import { z } from "zod";
import { bpe, type Merges } from "./bpe.js";
import { ALPHABET, inAlphabet } from "./byte-alphabet.js";
import { broken, parse } from "./components.js";
import { byteTokens, cutsAtSpace, type ModelContext, type PieceModel } from "./piece-model.js";

/** Two tokens; older files write them as one string. */
type Rule = readonly [string, string] | string;

// The two long fields are checked by hand: a schema takes half a second for them.
const isId = (value: unknown): boolean =>
  typeof value === "number" && Number.isInteger(value) && value >= 0;
export const isVocab = (value: unknown): boolean =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  Object.values(value).every(isId);
const isRule = (value: unknown): boolean =>
  typeof value === "string" ||
  (Array.isArray(value) &&
    value.length === 2 &&
    typeof value[0] === "string" &&
    typeof value[1] === "string");
const isRules = (value: unknown): boolean => Array.isArray(value) && value.every(isRule);

const Bpe = z.object({
  vocab: z.custom<Record<string, number>>(isVocab, "is no map from tokens to ids"),
  merges: z.custom<readonly Rule[]>(isRules, "is no list of pairs of tokens"),
  dropout: z.literal(0).nullish(),
  unk_token: z.string().nullish(),
  fuse_unk: z.boolean().default(false),
  byte_fallback: z.boolean().default(false),
  ignore_merges: z.boolean().default(false),
  continuing_subword_prefix: z.literal("").nullish(),
  end_of_word_suffix: z.literal("").nullish(),
});

const utf8 = new TextEncoder();

/** U+FFFD in UTF-8: what stands for a character that the vocabulary has no bytes for. */
const REPLACEMENT: readonly number[] = [0xef, 0xbf, 0xbd];

/** Throws EMODEL for what can not be read. */
export function readBpe(part: unknown, where: string, context: ModelContext): PieceModel {
  const model = parse(Bpe, part, where);
  const ids = new Map(Object.entries(model.vocab));
  const unknown = ids.get(model.unk_token ?? "") ?? -1;
  for (const content of context.special) ids.delete(content); // no text merges into one
  const merges = readMerges(model.merges, ids, context.special);
  const symbolsOf = context.byteLevel
    ? ofBytes(ids)
    : ofCharacters(ids, unknown, model.fuse_unk, model.byte_fallback);
  const encode = (piece: string): readonly number[] => bpe(merges, symbolsOf(piece));
  const written = (piece: string): string =>
    context.byteLevel ? inAlphabet(utf8.encode(piece)) : piece;
  const whole = (piece: string): readonly number[] => {
    const id = ids.get(written(piece));
    return id === undefined ? encode(piece) : [id];
  };
  return {
    ids,
    encode: model.ignore_merges ? whole : encode,
    cutsAtSpace: !context.byteLevel && !model.ignore_merges && cutsAtSpace(ids),
  };
}

/** Each byte a symbol. */
function ofBytes(ids: ReadonlyMap<string, number>): (piece: string) => Int32Array {
  const tokens = Int32Array.from(ALPHABET, (char) => ids.get(char) ?? -1);
  if (tokens.includes(-1) && REPLACEMENT.some((byte) => tokens[byte] === -1)) {
    throw broken("model.vocab: bytes are missing, and U+FFFD to stand for them is too");
  }
  const known = (byte: number): boolean => tokens[byte] !== -1;
  return (piece) => {
    const bytes = utf8.encode(piece);
    if (bytes.every(known)) return Int32Array.from(bytes, (byte) => tokens[byte] ?? 0);
    const replaced = Array.from(piece).flatMap((char) => {
      const some = utf8.encode(char);
      return some.every(known) ? [...some] : REPLACEMENT;
    });
    return Int32Array.from(replaced, (byte) => tokens[byte] ?? 0);
  };
}

/** Each character a symbol; one that is no token its bytes; else the unknown token; else none. */
function ofCharacters(
  ids: ReadonlyMap<string, number>,
  unknown: number,
  fuse: boolean,
  fallback: boolean,
): (piece: string) => Int32Array {
  const bytes = fallback ? byteTokens(ids) : new Int32Array(256).fill(-1);
  return (piece) => {
    const symbols: number[] = [];
    let fusing = false;
    for (const char of piece) {
      const id = ids.get(char);
      const tokens = id === undefined ? fallenBack(bytes, char) : [id];
      if (tokens !== undefined) symbols.push(...tokens);
      else if (unknown >= 0 && !(fuse && fusing)) symbols.push(unknown);
      fusing = tokens === undefined;
    }
    return Int32Array.from(symbols);
  };
}

/** The byte tokens of `char`, if there is one for each of its bytes. */
function fallenBack(bytes: Int32Array, char: string): number[] | undefined {
  const tokens = Array.from(utf8.encode(char), (byte) => bytes[byte] ?? -1);
  return tokens.includes(-1) ? undefined : tokens;
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
    if (special.has(left + right) || special.has(left) || special.has(right)) continue;
    const from = idOf(left, rank);
    let rights = ranks[from];
    if (rights === undefined) {
      rights = new Map();
      ranks[from] = rights;
    }
    merged[rank] = idOf(left + right, rank);
    const to = idOf(right, rank);
    // Where a pair is listed twice, the later rule is the one that holds.
    rights.set(to, rank);
  }
  return { ranks, merged };
}

function halves(rule: string): [string, string] {
  const space = rule.indexOf(" ", 1);
  return [rule.slice(0, space), rule.slice(space + 1)];
}

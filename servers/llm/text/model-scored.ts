/**
 * Model "ScoredBPE": what SentencePiece calls BPE and GGUF "llama". Any two neighbours
 * whose texts together are a token join, the best score first, of equal scores the
 * leftmost; a character that ends up alone and is no token becomes its bytes.
 *
 * It is a type of our own. Hugging Face's "BPE" lists each pair as a rule with a rank:
 * millions of rules for a large vocabulary, in which equal scores are not equal.
 */
import { z } from "zod";
import { broken, parse } from "./components.js";
import { joinAll, NONE } from "./joining.js";
import {
  byteOfName,
  byteTokens,
  cutsAtSpace,
  type ModelContext,
  type PieceModel,
} from "./piece-model.js";

/** Its name in a `tokenizer.json`. */
export const SCORED_BPE = "ScoredBPE";

type Scored = readonly [string, number];

const isScored = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.length === 2 &&
  typeof value[0] === "string" &&
  Number.isFinite(value[1]);
const isScoredList = (value: unknown): boolean => Array.isArray(value) && value.every(isScored);

/** By id: the token's text and its score. */
export const ScoredVocab = z.custom<readonly Scored[]>(
  isScoredList,
  "is no list of tokens with scores",
);

const Model = z.object({ vocab: ScoredVocab, unk_id: z.number().int().nonnegative() });

const utf8 = new TextEncoder();

/** Throws EMODEL for what can not be read. */
export function readScoredBpe(part: unknown, where: string, context: ModelContext): PieceModel {
  const { vocab, unk_id } = parse(Model, part, where);
  if (context.byteLevel) throw broken(`${where}: a ByteLevel step stands before ${SCORED_BPE}`);
  const ids = new Map(vocab.map(([token], id) => [token, id]));
  const bytes = byteTokens(ids);
  for (const content of context.special) ids.delete(content);
  ids.delete("");
  // What text may join to: not the name of a byte.
  const texts = new Map([...ids].filter(([token]) => byteOfName(token) === undefined));
  const ranks = rankByScore(vocab);
  const longest = longestOf(texts);
  const encode = (piece: string): readonly number[] => {
    const { starts, ends } = characters(piece);
    const idOf = (left: number, right: number): number => {
      const [start = 0, end = 0] = [starts[left], ends[right]];
      return end - start > longest ? NONE : (texts.get(piece.slice(start, end)) ?? NONE);
    };
    const left = joinAll(starts.length, {
      rank: (a, b) => {
        const id = idOf(a, b);
        return id === NONE ? NONE : (ranks[id] ?? NONE);
      },
      join: (a, b) => {
        ends[a] = ends[b] ?? 0;
      },
    });
    return left.flatMap((at) => {
      const id = idOf(at, at);
      if (id !== NONE) return [id];
      const tokens = utf8.encode(piece.slice(starts[at], ends[at]));
      return Array.from(tokens, (byte) =>
        bytes[byte] === NONE ? unk_id : (bytes[byte] ?? unk_id),
      );
    });
  };
  return { ids, encode, cutsAtSpace: cutsAtSpace(texts) };
}

/** Where each character begins and ends. */
function characters(piece: string): { starts: Int32Array; ends: Int32Array } {
  const starts = new Int32Array(piece.length);
  const ends = new Int32Array(piece.length);
  let n = 0;
  let at = 0;
  for (const char of piece) {
    starts[n] = at;
    at += char.length;
    ends[n++] = at;
  }
  return { starts: starts.subarray(0, n), ends: ends.subarray(0, n) };
}

/** By id: how many different scores are better. */
function rankByScore(vocab: readonly Scored[]): Int32Array {
  const scores = [...new Set(vocab.map(([, score]) => score))].sort((a, b) => b - a);
  const ranks = new Map(scores.map((score, rank) => [score, rank]));
  return Int32Array.from(vocab, ([, score]) => ranks.get(score) ?? 0);
}

function longestOf(texts: ReadonlyMap<string, number>): number {
  let longest = 0;
  for (const token of texts.keys()) longest = Math.max(longest, token.length);
  return longest;
}

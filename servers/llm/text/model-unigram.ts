/**
 * Model "Unigram": of all ways to cut a piece into tokens the one with the best sum of
 * scores (log-probabilities), by Viterbi's algorithm over the characters.
 */
import { z } from "zod";
import { broken, parse } from "./components.js";
import { ScoredVocab } from "./model-scored.js";
import {
  byteOfName,
  byteTokens,
  cutsAtSpace,
  type ModelContext,
  type PieceModel,
} from "./piece-model.js";
import { NONE, Trie } from "./trie.js";

const Unigram = z.object({
  vocab: ScoredVocab,
  unk_id: z.number().int().nonnegative(),
  byte_fallback: z.boolean().default(false),
});

/** An unknown character costs so much more than the worst token. */
const UNKNOWN_PENALTY = 10;

const utf8 = new TextEncoder();

/** Throws EMODEL for what can not be read. */
export function readUnigram(part: unknown, where: string, context: ModelContext): PieceModel {
  const { vocab, unk_id, byte_fallback } = parse(Unigram, part, where);
  if (context.byteLevel) throw broken(`${where}: a ByteLevel step stands before Unigram`);
  if (unk_id >= vocab.length) throw broken(`${where}.unk_id: ${unk_id} of ${vocab.length} tokens`);
  const bytes = byteTokens(new Map(vocab.map(([token], id) => [token, id])));
  const ids = new Map<string, number>();
  for (const [id, [token]] of vocab.entries()) {
    const text = token !== "" && id !== unk_id && !context.special.has(token);
    if (text && !ids.has(token)) ids.set(token, id);
  }
  // What text may be: not the name of a byte.
  const isText = (token: string): boolean => !byte_fallback || byteOfName(token) === undefined;
  const trie = new Trie([...ids].filter(([token]) => isText(token)));
  const scores = Float64Array.from(vocab, ([, score]) => score);
  const unknown = worst(vocab) - UNKNOWN_PENALTY;
  const unknownTokens = (text: string): number[] => {
    const tokens = Array.from(utf8.encode(text), (byte) => bytes[byte] ?? NONE);
    return byte_fallback && !tokens.includes(NONE) ? tokens : [unk_id];
  };
  const encode = (piece: string): readonly number[] =>
    best(piece, trie, scores, unknown).flatMap(({ id, start, end }) =>
      id === NONE ? unknownTokens(piece.slice(start, end)) : [id],
    );
  return { ids, encode, cutsAtSpace: cutsAtSpace(ids) };
}

interface Cut {
  /** NONE: characters that are in no token. */
  readonly id: number;
  readonly start: number;
  readonly end: number;
}

/** The best cuts; neighbouring unknown characters are one. */
function best(piece: string, trie: Trie, scores: Float64Array, unknown: number): Cut[] {
  const n = piece.length;
  // By end: the best score of a way to there, its last token, and where that begins.
  const sums = new Float64Array(n + 1).fill(Number.NEGATIVE_INFINITY);
  const lasts = new Int32Array(n + 1);
  const starts = new Int32Array(n + 1);
  sums[0] = 0;
  let start = 0;
  const offer = (end: number, id: number, score: number): void => {
    const sum = (sums[start] ?? 0) + score;
    if (sum <= (sums[end] ?? 0)) return;
    sums[end] = sum;
    lasts[end] = id;
    starts[end] = start;
  };
  for (const char of piece) {
    const after = start + char.length;
    let alone = false;
    let node = trie.root;
    for (let at = start; at < n; at++) {
      node = trie.child(node, piece.charCodeAt(at));
      if (node === NONE) break;
      const id = trie.value(node);
      if (id === NONE) continue;
      offer(at + 1, id, scores[id] ?? 0);
      if (at + 1 === after) alone = true;
    }
    if (!alone) offer(after, NONE, unknown);
    start = after;
  }
  return traced(n, lasts, starts);
}

/** Back from the end. */
function traced(n: number, lasts: Int32Array, starts: Int32Array): Cut[] {
  const cuts: Cut[] = [];
  for (let end = n; end > 0; end = starts[end] ?? 0) {
    const [id = NONE, start = 0] = [lasts[end], starts[end]];
    const next = cuts.at(-1);
    if (id === NONE && next?.id === NONE) cuts[cuts.length - 1] = { id, start, end: next.end };
    else cuts.push({ id, start, end });
  }
  return cuts.reverse();
}

function worst(vocab: readonly (readonly [string, number])[]): number {
  return vocab.reduce((least, [, score]) => Math.min(least, score), Number.POSITIVE_INFINITY);
}

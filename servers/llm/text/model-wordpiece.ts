/** Model "WordPiece": a word is cut into the longest tokens that fit, from its beginning on. */
import { z } from "zod";
import { broken, parse } from "./components.js";
import { isVocab } from "./model-bpe.js";
import type { ModelContext, PieceModel } from "./piece-model.js";
import { Trie } from "./trie.js";

const WordPiece = z.object({
  vocab: z.custom<Record<string, number>>(isVocab, "is no map from tokens to ids"),
  unk_token: z.string().default("[UNK]"),
  continuing_subword_prefix: z.string().min(1).default("##"),
  max_input_chars_per_word: z.number().int().positive().default(100),
});

/** Throws EMODEL for what can not be read. */
export function readWordPiece(part: unknown, where: string, context: ModelContext): PieceModel {
  const model = parse(WordPiece, part, where);
  if (context.byteLevel) throw broken(`${where}: a ByteLevel step stands before WordPiece`);
  const { unk_token, continuing_subword_prefix: prefix } = model;
  const ids = new Map(Object.entries(model.vocab));
  const unknown = ids.get(unk_token);
  if (unknown === undefined) throw broken(`${where}.unk_token: "${unk_token}" is no token`);
  for (const content of context.special) ids.delete(content);
  ids.delete("");
  const begin = new Trie(ids);
  const inner = [...ids].filter(
    ([token]) => token.length > prefix.length && token.startsWith(prefix),
  );
  const go = new Trie(inner.map(([token, id]) => [token.slice(prefix.length), id]));
  const encode = (word: string): readonly number[] => {
    if ([...word].length > model.max_input_chars_per_word) return [unknown];
    const tokens: number[] = [];
    for (let at = 0; at < word.length; ) {
      const match = (at === 0 ? begin : go).longest(word, at);
      if (match === undefined) return [unknown];
      tokens.push(match.value);
      at = match.end;
    }
    return tokens;
  };
  return { ids, encode, cutsAtSpace: false };
}

/**
 * The patterns of a `tokenizer.json`: a literal text, or a regular expression as
 * Oniguruma has it, which @huggingface/tokenizers translates (`\s` there is not
 * JavaScript's).
 */
import { Tokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { broken } from "./components.js";

export const Pattern = z.union([z.object({ String: z.string() }), z.object({ Regex: z.string() })]);
export type Pattern = z.infer<typeof Pattern>;

/** A part of a text: [start, end), and whether the pattern matched there. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly match: boolean;
}

/** A global expression that matches what `pattern` does. EMODEL for what JavaScript can not say. */
export function expression(pattern: Pattern, where: string): RegExp {
  if ("String" in pattern) return new RegExp(escapePattern(pattern.String), "gu");
  try {
    return translate(pattern.Regex);
  } catch (cause) {
    throw broken(`${where}: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

/** All of `text`, cut where matches of the global expression begin and end; no part is empty. */
export function spans(text: string, pattern: RegExp): Span[] {
  const found: Span[] = [];
  let done = 0;
  // Not matchAll: it copies the expression, which costs more than a short text's matches.
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const end = match.index + match[0].length;
    if (match.index > done) found.push({ start: done, end: match.index, match: false });
    if (end > match.index) found.push({ start: match.index, end, match: true });
    else pattern.lastIndex += (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1;
    done = end;
  }
  if (done < text.length) found.push({ start: done, end: text.length, match: false });
  return found;
}

function translate(regex: string): RegExp {
  const library = new Tokenizer(
    {
      model: { type: "BPE", vocab: {}, merges: [] },
      pre_tokenizer: { type: "Split", pattern: { Regex: regex }, behavior: "Isolated" },
      added_tokens: [],
      normalizer: null,
      post_processor: null,
      decoder: null,
    },
    {},
  );
  const { pattern } = library.pre_tokenizer as unknown as { pattern: RegExp };
  return pattern;
}

/** `text` as a regular expression that matches it literally. */
function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

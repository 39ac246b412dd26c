/**
 * How many full pages of contexts are in no tier: not in a slot, not in RAM, not in the
 * swap file. A page that contexts share is one page. What no burst has walked yet has no
 * pages in the books, so of that its tokens are counted, for each context by itself.
 */
import type { Context } from "../journal/journal.js";
import { isKept, PAGE_TOKENS, type Page } from "./page.js";
import type { Placer } from "./place.js";

interface Engine {
  readonly model: string;
  readonly placer: Pick<Placer, "pool" | "table">;
}

export function droppedPages(contexts: Iterable<Context>, { model, placer }: Engine): number {
  const { pool, table } = placer;
  const here = new Set<Page>();
  const gone = new Set<Page>();
  let unknown = 0;
  for (const context of contexts) {
    if (context.model !== model) continue;
    const pages = pool.pagesOf(context.cid);
    const inSlot = full(table.of(context.cid)?.resident ?? 0);
    pages.forEach((page, i) => {
      if (i < inSlot) here.add(page);
      else if (!isKept(page)) gone.add(page);
    });
    unknown += Math.max(0, full(context.tokens.length) - Math.max(pages.length, inSlot));
  }
  for (const page of here) gone.delete(page);
  return gone.size + unknown;
}

function full(tokens: number): number {
  return Math.floor(tokens / PAGE_TOKENS);
}

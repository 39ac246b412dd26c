/** What processes hold: the models of their contexts, and the pages that these make. */
import type { Kernel } from "../kernel.js";
import { PAGE_TOKENS } from "./page.js";

export interface Holding {
  readonly models: ReadonlySet<string>;
  /** Full pages, wherever their KV is; a page that two contexts share counts for each. */
  readonly pages: number;
}

export const NO_HOLDING: Holding = { models: new Set(), pages: 0 };

/** Of every process that owns a context, in one pass over the contexts. */
export function holdingsOf({ journal }: Pick<Kernel, "journal">): ReadonlyMap<bigint, Holding> {
  const all = new Map<bigint, { models: Set<string>; pages: number }>();
  for (const { owner, model, tokens } of journal.state.contexts.values()) {
    const one = all.get(owner) ?? { models: new Set(), pages: 0 };
    all.set(owner, one);
    one.models.add(model);
    one.pages += Math.floor(tokens.length / PAGE_TOKENS);
  }
  return all;
}

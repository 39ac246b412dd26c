/**
 * Page tables, and the index in which equal histories meet.
 *
 * Each context has a table: the pages of its history, the first 16 tokens' first, each
 * held by it; and, when it was taken out of its slot, its tail. The index has every page
 * that a table holds or a tier keeps, by name. What is found under a name is compared:
 * another page of the same name is a miss, and who comes second is not in the index.
 */
import { type PagedHistory, type pageName, rootName, waysOf } from "./names.js";
import { PAGE_TOKENS, type Payer } from "./page.js";
import { PoolPage, sameTokens } from "./pool-page.js";

export interface Table {
  readonly salt: string;
  /** Whose pages those are that it makes. */
  payer: Payer;
  readonly pages: PoolPage[];
  tail: PoolPage | undefined;
  /** Its full pages stay in RAM once they are there. */
  pinned: boolean;
}

export type NameOf = typeof pageName;

/** How a context holds its pages. */
export interface Holding {
  /** Who may share them (names.ts). */
  readonly salt: string;
  readonly payer: Payer;
  readonly pinned: boolean;
}

export class Tables {
  readonly index = new Map<string, PoolPage>();
  readonly byContext = new Map<bigint, Table>();
  readonly #digest: string;
  readonly #nameOf: NameOf;
  readonly #onIdleTail: (page: PoolPage) => void;
  readonly #roots = new Map<string, string>();

  /** `onIdleTail` hears of a tail that no context holds any more. */
  constructor(digest: string, nameOf: NameOf, onIdleTail: (page: PoolPage) => void) {
    this.#digest = digest;
    this.#nameOf = nameOf;
    this.#onIdleTail = onIdleTail;
  }

  /**
   * The table of a context, brought up to its history: pages that no longer stand there
   * are let go, those of further full pages are found or made. One hash a new page.
   */
  walk(cid: bigint, history: PagedHistory, { salt, payer, pinned }: Holding): Table {
    let table = this.byContext.get(cid);
    if (table && table.salt !== salt) {
      this.drop(cid);
      table = undefined;
    }
    if (!table) {
      table = { salt, payer, pages: [], tail: undefined, pinned: false };
      this.byContext.set(cid, table);
    }
    table.payer = payer;
    this.#trim(table, history);
    const full = Math.floor(history.tokens.length / PAGE_TOKENS);
    for (let i = table.pages.length; i < full; i++) {
      const page = this.#page(table, history, i, PAGE_TOKENS);
      page.refs++;
      if (table.pinned) page.keepers++;
      table.pages.push(page);
    }
    if (pinned !== table.pinned) {
      table.pinned = pinned;
      for (const page of table.pages) page.keepers += pinned ? 1 : -1;
    }
    return table;
  }

  /** The page of what a history has behind its last full page, up to `length`; held as its tail. */
  tail(table: Table, history: PagedHistory, length: number): PoolPage {
    const depth = Math.floor(length / PAGE_TOKENS);
    const page = this.#page(table, history, depth, length - depth * PAGE_TOKENS);
    if (table.tail === page) return page;
    this.dropTail(table);
    page.refs++;
    table.tail = page;
    return page;
  }

  /** Gives a context the same table as another has. */
  fork(from: bigint, to: bigint): void {
    const table = this.byContext.get(from);
    if (!table || this.byContext.has(to)) return;
    const { salt, payer, pages, tail } = table;
    for (const page of pages) page.refs++;
    if (tail) tail.refs++;
    this.byContext.set(to, { salt, payer, pages: [...pages], tail, pinned: false });
  }

  /** The context is gone, or is to be walked anew. */
  drop(cid: bigint): void {
    const table = this.byContext.get(cid);
    if (!table) return;
    this.byContext.delete(cid);
    this.dropTail(table);
    while (table.pages.length > 0) this.#pop(table);
  }

  dropTail(table: Table): void {
    const { tail } = table;
    table.tail = undefined;
    this.#unhold(tail);
  }

  /** Nobody holds a page and no tier keeps it: it is forgotten. */
  forgetIfDead(page: PoolPage): void {
    if (page.refs > 0 || page.placed) return;
    if (!page.indexed) return;
    page.indexed = false;
    this.index.delete(page.name);
  }

  /** The pages that a principal's contexts made. */
  madeFor(principal: string): PoolPage[] {
    return [...this.index.values()].filter(({ payer }) => payer.principal === principal);
  }

  #pop({ pages, pinned }: Table): void {
    const page = pages.pop();
    if (page && pinned) page.keepers--;
    this.#unhold(page);
  }

  #unhold(page: PoolPage | undefined): void {
    if (!page) return;
    page.refs--;
    if (page.refs === 0 && page.placed && !page.full) this.#onIdleTail(page);
    this.forgetIfDead(page);
  }

  /** Lets go what the history no longer has: it was cut, or a run of one token has grown. */
  #trim(table: Table, history: PagedHistory): void {
    const { pages, tail } = table;
    let right = 0;
    while (right < pages.length && stands(pages[right], history)) right++;
    while (pages.length > right) this.#pop(table);
    if (tail && (tail.parent !== pages[tail.depth - 1] || !stands(tail, history))) {
      this.dropTail(table);
    }
  }

  #page(table: Table, history: PagedHistory, depth: number, count: number): PoolPage {
    const parent = table.pages[depth - 1];
    const start = depth * PAGE_TOKENS;
    const tokens = history.tokens.slice(start, start + count);
    const ways = waysOf(history, start, start + count);
    const name = this.#nameOf(parent?.name ?? this.#root(table.salt), tokens, ways);
    const known = this.index.get(name);
    if (known?.is(parent, tokens, ways)) return known;
    const page = new PoolPage(name, parent, tokens, ways, table.payer);
    if (!known) {
      this.index.set(name, page);
      page.indexed = true;
    }
    return page;
  }

  #root(salt: string): string {
    let root = this.#roots.get(salt);
    if (root === undefined) {
      root = rootName(salt, this.#digest);
      if (this.#roots.size >= ROOTS) this.#roots.clear();
      this.#roots.set(salt, root);
    }
    return root;
  }
}

/** Salts whose seeds are remembered. */
const ROOTS = 1024;

function stands(page: PoolPage | undefined, history: PagedHistory): boolean {
  if (!page) return false;
  const start = page.depth * PAGE_TOKENS;
  if (!sameTokens(page.tokens, history.tokens, start)) return false;
  return page.ways === waysOf(history, start, start + page.tokens.length);
}

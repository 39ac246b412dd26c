/** A page as the pool keeps it. Only the pool's own files change it. */
import { PAGE_TOKENS, type Page, type Payer } from "./page.js";

export class PoolPage implements Page {
  frame = -1;
  block = -1;
  writing = false;
  pins = 0;
  /** The plan that is being made saves or loads it; one of its pins. */
  planned = false;
  lastUsed = 0;
  refs = 0;
  /** Pinned contexts that hold it: while there are any it stays in RAM. */
  keepers = 0;
  frameNode: unknown = undefined;
  blockNode: unknown = undefined;
  /** Its name finds it (tables.ts). */
  indexed = false;
  frameKids = 0;
  blockKids = 0;

  constructor(
    readonly name: string,
    readonly parent: PoolPage | undefined,
    readonly tokens: readonly number[],
    readonly ways: number,
    readonly payer: Payer,
  ) {
    this.depth = parent ? parent.depth + 1 : 0;
    this.full = tokens.length === PAGE_TOKENS;
  }

  readonly depth: number;
  /** Said here, for the tokens themselves are in no cache when there are many pages. */
  readonly full: boolean;
  /** Pages behind it that have a place. Nearly all have one such: a set for each would be large. */
  #kid: PoolPage | undefined = undefined;
  #nextKid: PoolPage | undefined = undefined;
  #previousKid: PoolPage | undefined = undefined;
  #adopted = false;
  children = 0;

  /** Those behind it that have a place, as they are now. */
  get kids(): PoolPage[] {
    const kids: PoolPage[] = [];
    for (let kid = this.#kid; kid; kid = kid.#nextKid) kids.push(kid);
    return kids;
  }

  /** A page behind it has a place, be it for the first time or not. */
  adopt(kid: PoolPage): void {
    if (kid.#adopted) return;
    kid.#adopted = true;
    kid.#nextKid = this.#kid;
    if (this.#kid) this.#kid.#previousKid = kid;
    this.#kid = kid;
    this.children++;
  }

  /** A page behind it has no place any more. */
  disown(kid: PoolPage): void {
    if (!kid.#adopted) return;
    kid.#adopted = false;
    if (kid.#previousKid) kid.#previousKid.#nextKid = kid.#nextKid;
    else this.#kid = kid.#nextKid;
    if (kid.#nextKid) kid.#nextKid.#previousKid = kid.#previousKid;
    kid.#nextKid = undefined;
    kid.#previousKid = undefined;
    this.children--;
  }

  /** It has a frame or a block, be it one that is still being written. */
  get placed(): boolean {
    return this.frame >= 0 || this.block >= 0;
  }

  /** Whether it is this page: a name alone proves nothing. */
  is(parent: PoolPage | undefined, tokens: readonly number[], ways: number): boolean {
    return this.parent === parent && this.ways === ways && sameTokens(this.tokens, tokens, 0);
  }
}

/** Whether `page`'s tokens stand at `start` of `tokens`. */
export function sameTokens(
  page: readonly number[],
  tokens: readonly number[],
  start: number,
): boolean {
  if (tokens.length - start < page.length) return false;
  for (let i = 0; i < page.length; i++) if (page[i] !== tokens[start + i]) return false;
  return true;
}

/** A page as the pool keeps it. Only the pool's own files change it. */
import type { Page } from "./page.js";

/** For whom a page was made. */
export interface Payer {
  readonly principal: string;
  /** 0n: no process. */
  readonly process: bigint;
}

export class PoolPage implements Page {
  frame = -1;
  block = -1;
  writing = false;
  pins = 0;
  lastUsed = 0;
  refs = 0;
  /** Pinned contexts that hold it: while there are any it stays in RAM. */
  keepers = 0;
  /** Pages behind it that have a place. */
  readonly kids = new Set<PoolPage>();
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
  }

  readonly depth: number;

  get children(): number {
    return this.kids.size;
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

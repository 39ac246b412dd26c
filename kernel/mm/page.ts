/**
 * Pages: the KV of 16 consecutive tokens of a history, from a multiple of 16 on.
 *
 * A page's name is the hash of everything that its KV depends on: the salt of whoever
 * may share it, the engine digest, the page before it (and so all tokens before it),
 * its own tokens, and how each of them entered: by prefill or by decode (law 2 makes
 * that a property of the history). Equal histories are the same page. A name is a key,
 * never a proof: whoever finds a page compares its tokens too.
 *
 * A full page never changes. The tail of a context, shorter than 16, is a page as well
 * while its context is out of its slot: it is named by what it has, and whoever goes on
 * from it makes another.
 */

export const PAGE_TOKENS = 16;

/** For whom a page was made. */
export interface Payer {
  readonly principal: string;
  /** 0n: no process. */
  readonly process: bigint;
}

/** Which process's pages it counts among; those of no process are their principal's own. */
export function processOf({ principal, process }: Payer): bigint | string {
  return process === 0n ? principal : process;
}

export interface Page {
  /** 32 bytes, in base64. */
  readonly name: string;
  /** The page before it; undefined: it begins a context. */
  readonly parent: Page | undefined;
  /** 1 to 16 of them. */
  readonly tokens: readonly number[];
  /** Bit i: token i entered by decode. */
  readonly ways: number;
  /** Pages before it. */
  readonly depth: number;
  /** Contexts whose page table has it. */
  refs: number;
  /** Pages that have it as their parent and are resident or swapped. */
  children: number;
  /** Its place in the driver's RAM; -1: none. */
  frame: number;
  /** Its place in the swap file; -1: none. */
  block: number;
  /** Its block is being written: it can not be read yet. */
  writing: boolean;
  /** Reads and copies that are under way: neither place may be given away. */
  pins: number;
  /** Microseconds of the kernel's clock. */
  lastUsed: number;
  readonly payer: Payer;
  /** What the eviction policies of the two tiers know of it; nobody else looks (eviction/tree.ts). */
  frameNode: unknown;
  blockNode: unknown;
}

/** Whether its KV is anywhere outside the slots. */
export function isKept(page: Page): boolean {
  return page.frame >= 0 || (page.block >= 0 && !page.writing);
}

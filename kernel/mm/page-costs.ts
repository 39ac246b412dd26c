/**
 * What a page costs, as far as eviction policies need it: ratios, not truth. Computing a
 * token by prefill takes about a millisecond on the machines that this is made for, a
 * generated one, which enters alone, ten times that; attention adds to both with depth.
 */
import { PAGE_TOKENS, type Page } from "./page.js";

const PREFILL_US = 1000;
const DECODE_US = 10_000;
/** Of a token's time, what attention to one page before it adds. */
const DEPTH_SHARE = 0.01;
/** From the swap file, with its checksum: bytes in a microsecond. */
const READ_BYTES = 1000;
/** From RAM into a slot, or back. */
const COPY_BYTES = 5000;

export class PageCosts {
  readonly #readUs: number;
  readonly #copyUs: number;

  constructor(pageBytes: number) {
    this.#readUs = pageBytes / READ_BYTES;
    this.#copyUs = pageBytes / COPY_BYTES;
  }

  rebuildUs = ({ tokens, ways, depth }: Page): number => {
    const decoded = ones(ways);
    const us = decoded * DECODE_US + (tokens.length - decoded) * PREFILL_US;
    return us * (1 + depth * DEPTH_SHARE);
  };

  readUs = (): number => this.#readUs;
  copyUs = (): number => this.#copyUs;
  /** So many tokens are generated in that time. */
  inTokens = (us: number): number => us / DECODE_US;
}

function ones(ways: number): number {
  let count = 0;
  for (let i = 0; i < PAGE_TOKENS; i++) count += (ways >> i) & 1;
  return count;
}

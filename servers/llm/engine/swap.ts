import type { Place } from "./page-memory.js";

/** What moves pages between RAM and a place that outlives this process. */
export interface Swap {
  /** Places for one page each. */
  readonly blocks: number;
  /**
   * Keeps a page under its name. The bytes are taken before this returns.
   * @returns "", or why it was not kept: "busy" (too much waits already), the system's words
   */
  write(block: number, name: Uint8Array, page: readonly Uint8Array[]): Promise<string>;
  /**
   * Brings a page back to its place, which is not touched when the page is not right.
   * @returns "", or why not: BAD_PAGE, the system's words
   */
  read(block: number, name: Uint8Array, place: Place): Promise<string>;
  /** Settles when nothing is under way any more. */
  close(): Promise<void>;
}

/** The block holds no page of that name, or not all of it as it was written. */
export const BAD_PAGE = "bad page";

/** Too many writes wait for the disk: ask again. */
export const BUSY = "busy";

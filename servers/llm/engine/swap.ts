import type { Fill } from "./pages.js";

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
   * Brings a page back: `fill` gets its bytes, and is not called when that goes wrong. They
   * are its own until it returns.
   * @returns "", or why not: BAD_PAGE, the system's words
   */
  read(block: number, name: Uint8Array, fill: Fill): Promise<string>;
  /** Settles when nothing is under way any more. */
  close(): Promise<void>;
}

/** Reads at once: of the thread pool's four threads, one is the model's and one for writes. */
export const READERS = 2;

/** The block holds no page of that name, or not all of it as it was written. */
export const BAD_PAGE = "bad page";

/** Too many writes wait for the disk: ask again. */
export const BUSY = "busy";

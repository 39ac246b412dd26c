/** What the swap file and its threads say to each other. */
import type { PageMemory } from "./page-memory.js";

export interface SwapWorkerData {
  /** The file, open until the thread has ended. */
  readonly file: number;
  readonly pageBytes: number;
  /** Where reads go. */
  readonly memory: PageMemory;
  /** Where writes come from: blocks one behind the other. */
  readonly staging: SharedArrayBuffer;
}

/** One page on its way. */
export interface Move {
  readonly block: number;
  /** Of a read: how far from the first page in the memory. Of a write: which block of the staging. */
  readonly at: number;
}

export interface Job {
  readonly kind: "read" | "write";
  readonly moves: readonly Move[];
  /** Their names, one behind the other, in memory of their own. */
  readonly names: Uint8Array;
}

/** What became of each move, as Swap.read and Swap.write say it. */
export type Errors = readonly string[];

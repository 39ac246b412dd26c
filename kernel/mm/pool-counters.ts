/** What the pool has done since the kernel's start. */
export interface PoolCounters {
  /** Full pages that a context found kept when it entered a slot, and those that it did not. */
  hits: number;
  misses: number;
  /** Bytes: slot to RAM, RAM to slot, RAM to the swap file, the swap file to slot. */
  saved: number;
  loaded: number;
  written: number;
  read: number;
  /** Pages that came back from the swap file other than they were written. */
  badPages: number;
  /** Reads and writes of the swap file that the system refused. */
  swapErrors: number;
  /** Pages that were not kept, because no frame could be had. */
  refused: number;
}

export function emptyCounters(): PoolCounters {
  const none = { saved: 0, loaded: 0, written: 0, read: 0 };
  return { hits: 0, misses: 0, ...none, badPages: 0, swapErrors: 0, refused: 0 };
}

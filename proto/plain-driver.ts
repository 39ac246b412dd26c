/** The fields of a driver's `Open` for what is off: pages outside its slots, and guessing. */
export const PLAIN_DRIVER = { pageMemory: 0n, swap: "", swapSize: 0n, lookup: 0 } as const;

/** The fields of a driver's `Open` that give it no place for pages outside its slots. */
export const NO_PAGES = { pageMemory: 0n, swap: "", swapSize: 0n } as const;

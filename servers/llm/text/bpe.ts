/** Byte-pair encoding: symbols are tokens, and a list of rules says which pairs join, best first. */
import { joinAll, NONE } from "./joining.js";

export interface Merges {
  /** By left token: right token to rank of the rule. A lower rank goes first. */
  readonly ranks: ReadonlyArray<ReadonlyMap<number, number> | undefined>;
  /** By rank: the token that the rule makes. */
  readonly merged: Int32Array;
}

/** The tokens that `symbols`, themselves tokens, join to. `symbols` is used up. */
export function bpe({ ranks, merged }: Merges, symbols: Int32Array): number[] {
  const left = joinAll(symbols.length, {
    rank: (a, b) => ranks[symbols[a] ?? 0]?.get(symbols[b] ?? 0) ?? NONE,
    join: (a, _, rank) => {
      symbols[a] = merged[rank] ?? 0;
    },
  });
  return left.map((at) => symbols[at] ?? 0);
}

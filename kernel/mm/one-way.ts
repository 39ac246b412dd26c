/**
 * Engines with one way in: tokens leave the same KV and logits there whether they enter by
 * prefill or by decode, and the driver says so (Ready.one_way). Which tokens were given and
 * which generated then says nothing of their KV, so to `mm/` a history on such an engine
 * has no runs: names.ts gives equal tokens equal names, feed.ts lets all enter by prefill.
 */
import type { Context } from "../journal/journal.js";
import type { Run } from "../journal/state.js";

/** The contexts of the state, as placement looks them up. */
export interface Contexts {
  readonly contexts: { get(cid: bigint): Context | undefined };
}

const NONE: readonly Run[] = [];

/** The same contexts without their runs. */
export function withoutRuns({ contexts }: Contexts): Contexts {
  const get = (cid: bigint): Context | undefined => {
    const context = contexts.get(cid);
    return context && { ...context, runs: NONE };
  };
  return { contexts: { get } };
}

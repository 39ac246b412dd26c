/**
 * What it costs to take a context's slot and to give it one again, in tokens generated: the
 * unit in which the Scheduler weighs what it gains.
 *
 * Pages in RAM are copied into the slot when it comes back, those in the swap file read.
 * What is only in the slot is copied out and in if there are frames for it, and else has to
 * be computed again. Moves cost little: a thousand tokens are moved in about the time of
 * one that is generated.
 */
import { rebuildCost } from "../sched/policy.js";
import { PAGE_TOKENS } from "./page.js";
import type { PageCosts } from "./page-costs.js";
import type { Residency } from "./residency.js";

/** A context that runs: tokens that enter by prefill, as given ones do, and those that enter by decode. */
export interface Length {
  readonly given: number;
  readonly generated: number;
}

/** @param free frames that nobody has */
export function switchCost(
  { given, generated }: Length,
  kept: Residency,
  free: number,
  costs: PageCosts,
): number {
  const pages = Math.ceil((given + generated) / PAGE_TOKENS);
  const unsaved = Math.max(0, pages - kept.frames - kept.blocks);
  const lost = Math.max(0, unsaved - free);
  const copies = kept.frames + 2 * (unsaved - lost);
  const moves = costs.inTokens(copies * costs.copyUs() + kept.blocks * costs.readUs());
  return pages === 0 ? 0 : moves + (rebuildCost(given, generated) * lost) / pages;
}

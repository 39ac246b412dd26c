/** What can be wrong with a plan by itself, before any slot is looked at. */

import { ContixError } from "../../../proto/errno.js";
import type { Plan } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { ModelInfo } from "./model.js";

/** @throws ContixError EPROTO that says what is wrong and what would be right. */
export function checkPlan(plan: Plan, info: ModelInfo): void {
  for (const { fromSlot, toSlot } of plan.copies) {
    checkSlot(plan, fromSlot, info);
    checkSlot(plan, toSlot, info);
    if (fromSlot === toSlot) wrong(plan, `copies slot ${toSlot} over itself`);
  }
  for (const { slot } of plan.binds) checkSlot(plan, slot, info);
  const seen = new Set<number>();
  for (const { slot, forced, forcedStart } of plan.rows) {
    checkSlot(plan, slot, info);
    if (seen.has(slot)) wrong(plan, `has two rows in slot ${slot}`);
    seen.add(slot);
    checkTokens(plan, slot, forcedStart, forced, info);
  }
  for (const { slot, start, tokens } of plan.chunks) {
    checkSlot(plan, slot, info);
    if (tokens.length < 2) {
      wrong(plan, `has a chunk of ${tokens.length} tokens in slot ${slot}; at least 2`);
    }
    checkTokens(plan, slot, start, tokens, info);
  }
}

function checkSlot(plan: Plan, slot: number, info: ModelInfo): void {
  if (slot >= info.slots) wrong(plan, `names slot ${slot}; there are ${info.slots}`);
}

function checkTokens(
  plan: Plan,
  slot: number,
  start: number,
  tokens: readonly number[],
  info: ModelInfo,
): void {
  const end = start + tokens.length;
  if (end > info.slotTokens) {
    wrong(plan, `ends at position ${end} of slot ${slot}, which has ${info.slotTokens}`);
  }
  for (const token of tokens) {
    if (token >= info.vocab) {
      wrong(plan, `has token ${token} in slot ${slot}; the vocabulary has ${info.vocab}`);
    }
  }
}

function wrong(plan: Plan, what: string): never {
  throw new ContixError("EPROTO", `plan ${plan.id} ${what}`);
}

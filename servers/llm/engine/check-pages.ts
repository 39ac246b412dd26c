/** What can be wrong with the pages of a plan, before any slot or frame is looked at. */

import { ContixError } from "../../../proto/errno.js";
import type { Bind, PageRead, PageSave, Plan } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { ModelInfo } from "./model.js";
import { PAGE_TOKENS } from "./pages.js";

/** How many pages there is room for. */
export interface PagePlaces {
  readonly frames: number;
  readonly blocks: number;
}

/** SHA-256. */
const NAME_BYTES = 32;

/** @throws ContixError EPROTO that says what is wrong and what would be right. */
export function checkPages(plan: Plan, info: ModelInfo, places: PagePlaces): void {
  const saved = new Set<number>();
  for (const save of plan.saves) {
    checkSave(plan, save, info);
    checkFrame(plan, save.frame, places);
    if (saved.has(save.frame)) wrong(plan, `saves two pages to frame ${save.frame}`);
    saved.add(save.frame);
  }
  const written = new Set<number>();
  for (const { frame, block, name } of plan.writes) {
    checkFrame(plan, frame, places);
    checkBlock(plan, block, name, places);
    if (written.has(block)) wrong(plan, `writes two pages to block ${block}`);
    written.add(block);
  }
  for (const bind of plan.binds) checkLoads(plan, bind, info, places);
  for (const read of plan.reads) {
    checkRead(plan, read, info);
    checkBlock(plan, read.block, read.name, places);
  }
}

function checkSave(plan: Plan, { slot, start, count }: PageSave, info: ModelInfo): void {
  checkStart(plan, slot, start, info);
  if (count < 1 || count > PAGE_TOKENS) {
    wrong(plan, `saves ${count} positions of slot ${slot} as a page; 1 to ${PAGE_TOKENS}`);
  }
}

function checkLoads(plan: Plan, bind: Bind, info: ModelInfo, places: PagePlaces): void {
  const { slot, keep, loads } = bind;
  if (loads.length > 0 && keep % PAGE_TOKENS !== 0) {
    wrong(plan, `loads pages behind ${keep} tokens of slot ${slot}, no multiple of ${PAGE_TOKENS}`);
  }
  loads.forEach(({ frame, tokens }, i) => {
    checkFrame(plan, frame, places);
    const last = i === loads.length - 1;
    const least = last ? 1 : PAGE_TOKENS;
    if (tokens.length < least || tokens.length > PAGE_TOKENS) {
      const right = `${PAGE_TOKENS}, or fewer of the last`;
      wrong(plan, `loads ${tokens.length} tokens from frame ${frame}; it must be ${right}`);
    }
    checkTokens(plan, slot, tokens, info);
  });
  const end = keep + loads.reduce((sum, { tokens }) => sum + tokens.length, 0);
  if (loads.length > 0 && end > info.slotTokens) {
    wrong(plan, `loads pages up to position ${end} of slot ${slot}, which has ${info.slotTokens}`);
  }
}

function checkRead(plan: Plan, { slot, start, tokens }: PageRead, info: ModelInfo): void {
  checkStart(plan, slot, start, info);
  if (tokens.length !== PAGE_TOKENS) {
    wrong(plan, `reads a page of ${tokens.length} tokens into slot ${slot}; all ${PAGE_TOKENS}`);
  }
  if (start + PAGE_TOKENS > info.slotTokens) {
    wrong(plan, `reads a page beyond the ${info.slotTokens} positions of slot ${slot}`);
  }
  checkTokens(plan, slot, tokens, info);
}

function checkStart(plan: Plan, slot: number, start: number, info: ModelInfo): void {
  if (slot >= info.slots) wrong(plan, `names slot ${slot}; there are ${info.slots}`);
  if (start % PAGE_TOKENS !== 0) {
    const multiple = `a page begins at a multiple of ${PAGE_TOKENS}`;
    wrong(plan, `has a page at position ${start} of slot ${slot}; ${multiple}`);
  }
}

function checkFrame(plan: Plan, frame: number, { frames }: PagePlaces): void {
  if (frame >= frames) wrong(plan, `names frame ${frame}; there are ${frames}`);
}

function checkBlock(plan: Plan, block: number, name: Uint8Array, { blocks }: PagePlaces): void {
  if (block >= blocks) wrong(plan, `names block ${block}; there are ${blocks}`);
  if (name.length !== NAME_BYTES) {
    wrong(plan, `has a page's name of ${name.length} bytes in block ${block}; ${NAME_BYTES}`);
  }
}

function checkTokens(plan: Plan, slot: number, tokens: readonly number[], info: ModelInfo): void {
  for (const token of tokens) {
    if (token >= info.vocab) {
      wrong(plan, `has token ${token} in slot ${slot}; the vocabulary has ${info.vocab}`);
    }
  }
}

function wrong(plan: Plan, what: string): never {
  throw new ContixError("EPROTO", `plan ${plan.id} ${what}`);
}

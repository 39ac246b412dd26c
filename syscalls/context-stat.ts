/** Where a context stands, as the kernel shows it. */
import type { CtxStatResult } from "../proto/gen/contix/v1/calls.js";
import { type Cid, type Pid, showId, showIdOrNull } from "./ids.js";
import { toMs } from "./usage.js";

export interface ContextStat {
  readonly cid: Cid;
  /** The process that holds it; null when it is kept for its principal, by none. */
  readonly owner: Pid | null;
  readonly principal: string;
  /** Tokens in the context: the given and the generated ones. */
  readonly length: number;
  readonly given: number;
  readonly generated: number;
  /** Tokens whose KV is in a slot. */
  readonly resident: number;
  /** The slot it is in, or null. */
  readonly slot: number | null;
  /** The most tokens it can hold. */
  readonly window: number;
  /** The model that it belongs to, and the engine digest. */
  readonly model: string;
  readonly engine: string;
  readonly pinned: boolean;
  /** Whose contexts may share its pages. */
  readonly share: "principal" | "all";
  /** It is closed after so long without use, milliseconds; 0: never. */
  readonly ttlMs: number;
  /** Since its last use, milliseconds; 0 while it is used. */
  readonly idleMs: number;
  readonly ageMs: number;
  /** The context that it was forked from, or null. */
  readonly from: Cid | null;
  /** An append or a generation is under way. */
  readonly busy: boolean;
  /** Full pages of 16 tokens; pages kept in RAM outside the slots, and in the swap file only. */
  readonly pages: number;
  readonly pagesInMemory: number;
  readonly pagesSwapped: number;
}

export function toStat(wire: CtxStatResult): ContextStat {
  const { cid, owner, slot, share, ttlUs, idleUs, ageUs, from, handle: _, ...rest } = wire;
  return {
    ...rest,
    cid: showId(cid),
    owner: showIdOrNull(owner),
    slot: slot < 0 ? null : slot,
    share: share as ContextStat["share"],
    ttlMs: toMs(ttlUs),
    idleMs: toMs(idleUs),
    ageMs: toMs(ageUs),
    from: showIdOrNull(from),
  };
}

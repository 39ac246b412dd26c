/** Where a context stands, as the kernel shows it. */
import type { CtxSegment, CtxStatResult } from "../proto/gen/contix/v1/calls.js";
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
  /**
   * What it is made of, in its order, then what was moved out, the oldest first and at
   * most 1,000 (`ctx.filed` finds the others). By `stat` only: `list` names none.
   */
  readonly segments: readonly Segment[];
  /** How many segments were moved out, and their tokens. */
  readonly filedSegments: number;
  readonly filedTokens: number;
  /** What happens when it outgrows its window. */
  readonly overflow: "oldest" | "relevance" | "none";
  readonly summaries: boolean;
}

/** A message, an answer, a text, or the note that stands for what was moved out. */
export interface Segment {
  /** Its handle, for `recall`; null: a note. */
  readonly segment: number | null;
  readonly kind: "system" | "tools" | "history" | "scratch" | "stub";
  readonly role: "system" | "user" | "assistant";
  readonly tokens: number;
  /** It is never moved out. */
  readonly pinned: boolean;
  /** It was moved out. */
  readonly filed: boolean;
  /** The moved out segment that it is a copy of, or null. */
  readonly copyOf: number | null;
  /** Of a note: the segments that it stands for. */
  readonly stands: readonly number[];
}

export function toStat(wire: CtxStatResult): ContextStat {
  const { cid, owner, slot, share, ttlUs, idleUs, ageUs, from, handle: _, ...more } = wire;
  const { overflow, segments, ...rest } = more;
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
    overflow: overflow as ContextStat["overflow"],
    segments: segments.map(toSegment),
  };
}

function toSegment({ segment, kind, role, copyOf, ...rest }: CtxSegment): Segment {
  return {
    ...rest,
    segment: segment || null,
    kind: kind as Segment["kind"],
    role: role as Segment["role"],
    copyOf: copyOf || null,
  };
}

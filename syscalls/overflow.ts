/** What happens to a context that outgrows its window, and how to get back what left it. */
import type {
  CtxFiledResult,
  CtxRecallCall,
  CtxRecallResult,
  CtxEdit as WireEdit,
} from "../proto/gen/contix/v1/calls.js";
import type { ContextEvent as WireEvent } from "../proto/gen/contix/v1/kernel.js";
import { checkCount, checkText } from "./check.js";
import { type Cid, showId } from "./ids.js";

/** How a context deals with more tokens than its window holds. */
export interface OverflowOptions {
  /**
   * Which whole segments (turns, texts) are moved out to make room: the oldest first, or
   * the least relevant to the last user turn first. "none": what does not fit is ENOMEM.
   * By default as the daemon is configured: "oldest".
   */
  readonly overflow?: "oldest" | "relevance" | "none" | undefined;
  /** The note that stays in their place sums them up, by the model, and does not just quote their beginning. */
  readonly summaries?: boolean | undefined;
}

/** What an appended input is. */
export interface SegmentOptions {
  /** By default by the role of each message: system, or history. System and tools are never moved out. */
  readonly segment?: "system" | "tools" | "history" | "scratch" | undefined;
  /** It is never moved out. */
  readonly keep?: boolean | undefined;
}

/** The pager moved segments out of a context to make room. */
export interface ContextEdit {
  /** Handles of the segments that left: `ctx.recall(handle)` brings one back. */
  readonly movedOut: readonly number[];
  /** Tokens that they had. */
  readonly tokens: number;
  /** Tokens before the first cut, untouched. */
  readonly kept: number;
  /** Tokens of the context right after. */
  readonly length: number;
}

/** What CTXHIGH and CTXEDIT are about. */
export interface ContextEvent {
  readonly cid: Cid;
  readonly length: number;
  readonly window: number;
  /** With CTXEDIT. */
  readonly edit: ContextEdit | undefined;
}

/** A segment that was brought back. */
export interface Recalled {
  readonly segment: number;
  readonly text: string;
  /** Tokens; 0: it was in the context already. */
  readonly appended: number;
  readonly length: number;
  /** What was moved out for it. */
  readonly edit: ContextEdit | undefined;
}

/** A segment that was moved out. */
export interface FiledSegment {
  /** Its handle, for `recall` and `forget`. */
  readonly segment: number;
  readonly kind: "system" | "tools" | "history" | "scratch";
  readonly role: "system" | "user" | "assistant";
  readonly tokens: number;
  /** Its first words. */
  readonly begins: string;
  /** How well it fits the query; 0 without one. */
  readonly score: number;
}

/** What was moved out of a context. */
export interface Filed {
  readonly segments: readonly FiledSegment[];
  /** Of all that are filed, listed or not. */
  readonly count: number;
  readonly tokens: number;
}

/** The fields of the wire. */
export function toOverflow(options: OverflowOptions): { overflow: string; summaries: boolean } {
  const { overflow = "", summaries = false } = options;
  return { overflow: checkText("overflow", overflow), summaries };
}

export function toSegment(options: SegmentOptions): { segment: string; keep: boolean } {
  const { segment = "", keep = false } = options;
  return { segment: checkText("segment", segment), keep };
}

export function toWhat(what: number | string): CtxRecallCall["what"] {
  if (typeof what === "string") return { $case: "query", value: checkText("what", what) };
  return { $case: "segment", value: checkCount("what", what, 1) };
}

export function fromEdit(edit: WireEdit | undefined): ContextEdit | undefined {
  return edit && { ...edit };
}

export function fromEvent(event: WireEvent | undefined): ContextEvent | undefined {
  return event && { ...event, cid: showId(event.cid), edit: fromEdit(event.edit) };
}

export function fromRecall(result: CtxRecallResult): Recalled {
  return { ...result, edit: fromEdit(result.edit) };
}

export function fromFiled({ segments, ...rest }: CtxFiledResult): Filed {
  const listed = segments.map((segment) => ({
    ...segment,
    kind: segment.kind as FiledSegment["kind"],
    role: segment.role as FiledSegment["role"],
  }));
  return { ...rest, segments: listed };
}

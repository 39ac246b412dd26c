/**
 * The records of the journal. The kernel's state is a fold over them (state.ts);
 * nothing else changes it.
 */

import type { Filed, Filling, OverflowPolicy, Part, Segment } from "../mm/overflow/segments.js";
import type { SuperviseRecord } from "../proc/supervise/fold.js";
import type { SamplingSpec } from "../sched/burst.js";
import type { CapRecord } from "./fold-caps.js";
import type { IpcRecord } from "./fold-ipc.js";
import type { PrincipalRecord } from "./fold-principals.js";
import type { ProcRecord } from "./fold-procs.js";
import type { SchedRecord } from "./fold-sched.js";
import type { TimeRecord } from "./fold-time.js";
import type { Run, Seam } from "./state.js";

/** What stands at the end of a context, for the text server: see ChatTail in llm.proto. */
export type Tail = "empty" | "text" | "closed" | "assistant";

/** Who may share a context's pages: its principal, or all who say so too. */
export type Share = "principal" | "all";

/** What its owner knows of a context's next use. It moves pages and changes no answer. */
export type Need = "unknown" | "willneed" | "dontneed";

/** The generation that wrote a context's end: where it began, and how it drew. */
export interface LastGeneration {
  readonly start: number;
  readonly sampling: SamplingSpec;
}

export type JournalRecord =
  | CapRecord
  | PrincipalRecord
  | ProcRecord
  | IpcRecord
  | TimeRecord
  | SchedRecord
  | SuperviseRecord
  // ---- contexts ----
  | {
      type: "ctx.created";
      cid: bigint;
      owner: bigint;
      handle: number;
      /** Its model, and the engine digest within which law 2 holds for it. */
      model: string;
      engine: string;
      /** "principal" when missing. */
      share?: Share;
      /** "none" when missing. */
      overflow?: OverflowPolicy;
      summaries?: boolean;
      /** It is closed after so long without use; 0 or missing: never. */
      ttlUs?: number;
      at?: number;
    }
  /** A new context with the first `length` tokens of another, and all that is known of them. */
  | {
      type: "ctx.forked";
      cid: bigint;
      from: bigint;
      owner: bigint;
      handle: number;
      length: number;
      ttlUs: number;
      at: number;
    }
  /** What a context that was just created holds, from a snapshot. */
  | {
      type: "ctx.filled";
      cid: bigint;
      tokens: readonly number[];
      runs: readonly Run[];
      seams: readonly Seam[];
      tail: Tail;
      last: LastGeneration | undefined;
      /** Without it it is one text. */
      paging?: Filling;
    }
  | { type: "ctx.truncated"; cid: bigint; length: number }
  | { type: "ctx.pinned"; cid: bigint; pinned: boolean }
  | { type: "ctx.advised"; cid: bigint; need: Need; pauseUs: number; at: number }
  | { type: "ctx.shared"; cid: bigint; share: Share }
  /** To another owner, and its handle there; owner 0: kept for the principal, by no process. */
  | { type: "ctx.moved"; cid: bigint; owner: bigint; handle: number }
  /** Without parts it is one text. */
  | {
      type: "ctx.given";
      cid: bigint;
      tokens: readonly number[];
      tail: Tail;
      parts?: readonly Part[];
    }
  /** The pager moved segments out: from position `from` on, `tokens` stand there now, all given. */
  | {
      type: "ctx.edited";
      cid: bigint;
      from: number;
      tokens: readonly number[];
      tail: Tail;
      /** All that there are now. */
      segments: readonly Segment[];
      /** Those that were moved out. */
      filed: readonly Filed[];
    }
  /** Filed segments are gone, for good. */
  | { type: "ctx.forgot"; cid: bigint; segments: readonly number[] }
  /** It passed the mark of its window, or fell below it again. */
  | { type: "ctx.high"; cid: bigint; high: boolean }
  | { type: "ctx.generated"; cid: bigint; tokens: readonly number[] }
  | { type: "ctx.closed"; cid: bigint }
  // ---- calls ----
  /** The inputs of a local generation, durable before it starts (law 2 regenerates its tokens). */
  | {
      type: "call.generate";
      pid: bigint;
      run: number;
      seq: bigint;
      cid: bigint;
      genStart: number;
      seed: bigint;
      engine: string;
      /** With its seed, and what was left out as it was filled in. */
      sampling: SamplingSpec;
      call: Uint8Array;
    }
  /** What an external call is about to do, before it does: without a result behind it nobody knows. */
  | { type: "call.intent"; pid: bigint; run: number; seq: bigint; digest: string }
  /** A finished call: its reply stays until the caller acknowledges it. */
  | { type: "call.done"; pid: bigint; run: number; seq: bigint; digest: string; reply: Uint8Array }
  | { type: "call.acked"; pid: bigint; run: number; through: bigint; also: readonly bigint[] };

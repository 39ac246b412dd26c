/**
 * What the bursts of a plan enter: generated tokens as decode rows, given ones as prefill
 * chunks, one chunk a step, those of the most urgent burst first (feed.ts says which
 * token enters how).
 */
import type { Plan, PrefillChunk, Row } from "../../proto/gen/contix/driver/v1/llm.js";
import type { Context } from "../journal/journal.js";
import type { ChunkPace } from "./chunk-pace.js";
import { chunkSize, segments } from "./feed.js";

/** Steps a plan is valid for when nothing happens. */
const PLAN_STEPS = 64;
/** Prefill chunks in one plan. */
const PLAN_CHUNKS = 8;

/** A burst in its slot. */
export interface Bound {
  readonly binding: bigint;
  readonly slot: number;
  readonly context: Context;
  /** Tokens of it that are in the slot. */
  readonly resident: number;
}

export interface Work extends Pick<Plan, "steps" | "rows" | "chunks"> {
  /** Bindings that need another plan when their slot has so many tokens. */
  readonly replanAt: ReadonlyMap<bigint, number>;
  /** More chunks wait than the plan has room for. */
  readonly more: boolean;
}

interface Feed {
  readonly binding: bigint;
  readonly slot: number;
  readonly tokens: readonly number[];
  readonly start: number;
  readonly end: number;
  readonly how: "prefill" | "decode";
  readonly sample: boolean;
}

/** What the bursts enter next, the most urgent first. */
export function workOf(bursts: readonly Bound[], pace: ChunkPace): Work {
  const rows: Row[] = [];
  const chunks: PrefillChunk[] = [];
  const replanAt = new Map<bigint, number>();
  const feeds = bursts.map((burst) => feedOf(burst, replanAt));
  for (const feed of feeds) if (feed.how === "decode") rows.push(rowOf(feed));
  const preferred = pace.size(rows.length);
  let more = false;
  for (const feed of feeds) {
    if (feed.how === "prefill" && !addChunks(feed, preferred, chunks)) more = true;
  }
  return { steps: PLAN_STEPS, rows, chunks, replanAt, more };
}

function feedOf({ binding, slot, context, resident }: Bound, replanAt: Map<bigint, number>): Feed {
  const todo = segments(context, resident);
  const first = todo[0];
  if (!first) throw new Error(`context ${context.cid} has nothing to feed`);
  const sample = todo.length === 1;
  if (!sample) replanAt.set(binding, first.end);
  return { binding, slot, tokens: context.tokens, ...first, sample };
}

function rowOf({ binding, slot, tokens, start, end, sample }: Feed): Row {
  return { burst: binding, slot, forcedStart: start, forced: tokens.slice(start, end), sample };
}

/** @returns whether all of them had room */
function addChunks(feed: Feed, preferred: number, out: PrefillChunk[]): boolean {
  const { binding: burst, slot, tokens, start: from, end: to } = feed;
  for (let start = from; start < to; ) {
    if (out.length === PLAN_CHUNKS) return false;
    const end = start + chunkSize(to - start, preferred);
    const sample = feed.sample && end === to;
    out.push({ burst, slot, start, tokens: tokens.slice(start, end), sample });
    start = end;
  }
  return true;
}

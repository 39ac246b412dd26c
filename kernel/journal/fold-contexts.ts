/**
 * The fold's part for contexts: what each record makes of a context, and the sums
 * that quotas are checked against.
 *
 * A cut keeps the class of every token before it (law 2: what was generated stays
 * generated). What then stands at the end is known where an input ended, or within
 * what was generated after it; anywhere else it is plain text.
 */
import { ALL_RIGHTS } from "../cap/rights.js";
import {
  copyPaging,
  newPaging,
  noteCut,
  noteEdit,
  noteFilled,
  noteForgot,
  noteGenerated,
  noteGiven,
} from "../mm/overflow/segments.js";
import { endObject, makeCap, moveCap } from "./fold-caps.js";
import type { JournalRecord, Tail } from "./records.js";
import { COUNTER, type ContextState, type Holdings, type Run, type State } from "./state.js";

type ContextRecord = Extract<JournalRecord, { type: `ctx.${string}` }>;

/** Tokens of a page, as pins are counted. */
const PAGE_TOKENS = 16;

/** Applies a record of a context. */
export function applyContext(state: State, record: JournalRecord): void {
  if (!isContextRecord(record)) return;
  if (record.type === "ctx.created" || record.type === "ctx.forked") {
    open(state, record);
    return;
  }
  const context = state.contexts.get(record.cid);
  if (!context) return;
  charge(state, context, -1);
  change(state, context, record);
  if (state.contexts.has(context.cid)) charge(state, context, 1);
}

/** A generation begins on a context: what was advised of the time until then is over. */
export function noteGeneration(
  state: State,
  record: Extract<JournalRecord, { type: "call.generate" }>,
): void {
  const context = state.contexts.get(record.cid);
  if (!context) return;
  context.last = { start: record.genStart, sampling: record.sampling };
  context.advice = undefined;
}

function isContextRecord(record: JournalRecord): record is ContextRecord {
  return record.type.startsWith("ctx.");
}

function open(
  state: State,
  record: Extract<ContextRecord, { type: "ctx.created" | "ctx.forked" }>,
): void {
  const { cid, owner, handle, ttlUs = 0, at = 0 } = record;
  const source = record.type === "ctx.forked" ? state.contexts.get(record.from) : undefined;
  if (record.type === "ctx.forked" && !source) return;
  state.counters.cid = Math.max(state.counters.cid, Number(cid & COUNTER));
  const origin = record.type === "ctx.created" ? record : source;
  const context: ContextState = {
    cid,
    owner,
    handle,
    cap: 0n,
    principal: state.processes.get(owner)?.principal ?? source?.principal ?? "",
    model: origin?.model ?? "",
    engine: origin?.engine ?? "",
    createdAt: at,
    ttlUs,
    from: source?.cid ?? 0n,
    tokens: [],
    runs: [],
    seams: [],
    tail: "empty",
    share: origin?.share ?? "principal",
    pinned: false,
    advice: undefined,
    last: undefined,
    paging: source
      ? copyPaging(source.paging)
      : record.type === "ctx.created"
        ? newPaging(record.overflow, record.summaries)
        : newPaging(),
  };
  if (source && record.type === "ctx.forked") {
    fill(context, source);
    cut(context, record.length);
  }
  state.contexts.set(cid, context);
  hand(state, context);
  charge(state, context, 1);
}

function change(state: State, context: ContextState, record: ContextRecord): void {
  switch (record.type) {
    case "ctx.given":
      spend(state, context, record.tokens.length);
      extend(context, record.tokens, true);
      context.tail = record.tail;
      if (record.tokens.length > 0) mark(context);
      noteGiven(context.paging, record.tokens.length, record.parts);
      break;
    case "ctx.generated":
      spend(state, context, record.tokens.length);
      extend(context, record.tokens, false);
      noteGenerated(context.paging, record.tokens.length, context.tail === "assistant");
      break;
    case "ctx.edited":
      cut(context, record.from);
      extend(context, record.tokens, true);
      context.tail = record.tail;
      mark(context);
      noteEdit(context.paging, record.segments, record.filed);
      break;
    case "ctx.forgot":
      noteForgot(context.paging, record.segments);
      break;
    case "ctx.high":
      context.paging.high = record.high;
      break;
    case "ctx.filled":
      spend(state, context, record.tokens.length);
      fill(context, record);
      noteFilled(context.paging, record.tokens.length, record.paging);
      break;
    case "ctx.truncated":
      cut(context, record.length);
      break;
    case "ctx.pinned":
      context.pinned = record.pinned;
      break;
    case "ctx.advised":
      context.advice = { need: record.need, pauseUs: record.pauseUs, at: record.at };
      break;
    case "ctx.shared":
      context.share = record.share;
      break;
    case "ctx.moved":
      context.owner = record.owner;
      context.handle = record.handle;
      hand(state, context);
      break;
    case "ctx.closed":
      endObject(state, { type: "context", id: record.cid });
      state.contexts.delete(record.cid);
      break;
  }
}

/** What a principal's contexts ever took; a fork takes nothing new. */
function spend(state: State, { principal, owner }: ContextState, tokens: number): void {
  for (const budget of state.processes.get(owner)?.budgets ?? []) budget.spent += tokens;
  state.spent.set(principal, (state.spent.get(principal) ?? 0) + tokens);
}

/** The root of its capabilities is its owner's, or, while it is kept, nobody's. */
function hand(state: State, context: ContextState): void {
  const { owner, handle, cid } = context;
  const root = state.caps.get(context.cap);
  if (root) moveCap(state, root, owner, handle);
  else if (handle !== 0 || owner === 0n) {
    context.cap = BigInt(state.counters.cap + 1);
    const object = { type: "context" as const, id: cid };
    const whole = { object, rights: ALL_RIGHTS, holder: owner, handle };
    makeCap(state, { id: context.cap, parent: 0n, ...whole });
  }
}

function extend(context: ContextState, tokens: readonly number[], given: boolean): void {
  if (tokens.length === 0) return;
  if (context.runs.at(-1)?.given !== given) {
    context.runs.push({ start: context.tokens.length, given });
  }
  for (const token of tokens) context.tokens.push(token);
}

function mark({ seams, tokens, tail }: ContextState): void {
  seams.push({ at: tokens.length, tail });
}

type Content = Pick<ContextState, "tail" | "last"> & {
  readonly tokens: readonly number[];
  readonly runs: readonly Run[];
  readonly seams: readonly { readonly at: number; readonly tail: Tail }[];
};

/** Gives an empty context what another has. */
function fill(context: ContextState, { tokens, runs, seams, tail, last }: Content): void {
  for (const token of tokens) context.tokens.push(token);
  context.runs.push(...runs);
  for (const seam of seams) context.seams.push(seam);
  context.tail = tail;
  context.last = last;
}

/** Forgets everything from `length` on. */
function cut(context: ContextState, length: number): void {
  const { tokens, runs, seams } = context;
  if (length >= tokens.length) return;
  tokens.length = length;
  while ((runs.at(-1)?.start ?? -1) >= length) runs.pop();
  while ((seams.at(-1)?.at ?? -1) > length) seams.pop();
  context.tail = tailAt(context);
  if (context.last && context.last.start >= length) context.last = undefined;
  noteCut(context.paging, length);
}

/** What stands at the end of a context that was cut. */
function tailAt({ tokens, runs, seams }: ContextState): Tail {
  if (tokens.length === 0) return "empty";
  const seam = seams.at(-1);
  const run = runs.at(-1);
  if (!seam || !run) return "text";
  if (seam.at === tokens.length) return seam.tail;
  // What is generated goes on with what the input before it opened.
  return !run.given && run.start === seam.at ? seam.tail : "text";
}

/** Adds (1) or takes away (-1) what a context counts for. Contexts of one call are bounded elsewhere. */
function charge(state: State, context: ContextState, sign: 1 | -1): void {
  const { owner, handle, principal, tokens, pinned, paging } = context;
  if (owner !== 0n && handle === 0) return;
  const pages = pinned ? Math.ceil(tokens.length / PAGE_TOKENS) : 0;
  const add = (holds: Holdings): void => {
    holds.contexts += sign;
    holds.tokens += sign * (tokens.length + paging.filedTokens);
    holds.pinnedPages += sign * pages;
  };
  const process = state.processes.get(owner);
  if (process) add(process.holds);
  for (const budget of process?.budgets ?? []) add(budget.holds);
  let held = state.holdings.get(principal);
  if (!held) {
    held = { contexts: 0, tokens: 0, pinnedPages: 0 };
    state.holdings.set(principal, held);
  }
  add(held);
  if (held.contexts === 0) state.holdings.delete(principal);
}

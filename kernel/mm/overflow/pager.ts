/**
 * The pager of meaning: makes room in a context that an input would carry past the
 * window.
 *
 * It decides on a draft and changes nothing: segments leave in the policy's order
 * (choose.ts), the text server writes the stubs, the input is made anew behind what
 * then stands at the end, and only when all of it fits is there an edit, one record
 * that goes to the journal together with the input. So a call that fails has left the
 * context as it was, and replaying the record needs no text server.
 *
 * Behind the first cut everything counts as given (law 2: how its KV is computed must
 * follow from the history, and the history before the cut is gone). What stands before
 * it is untouched, and so are its pages.
 *
 * An answer wants room too: a generation that has not a quarter of the window for what
 * it may write (or less, when it asked for less) makes room as if it had not fitted.
 * Where that is not to be had it runs with what there is.
 */
import { ContixError } from "../../../proto/errno.js";
import type { Engine } from "../../engines/engine.js";
import type { Context } from "../../journal/journal.js";
import type { JournalRecord, Tail } from "../../journal/records.js";
import { checkQuota } from "../quota.js";
import { type Located, layOut, order, standsFor } from "./choose.js";
import type { Filed, Part, Segment } from "./segments.js";

export type Edit = Extract<JournalRecord, { type: "ctx.edited" }>;

/** Where an input goes on: what it is made for. */
export type Ending = Pick<Context, "tokens" | "tail">;

export interface Tokenized {
  readonly tokens: readonly number[];
  readonly tail: Tail;
  readonly parts?: readonly Part[];
}

export interface Fitted {
  readonly input: Tokenized;
  /** Goes before the input. */
  readonly edit: Edit | undefined;
}

export interface Need {
  /** Makes the input, to follow an ending. */
  readonly tokenize: (ending: Ending) => Promise<Tokenized>;
  /** Tokens that its answer should have room for; 0: there is no answer. */
  readonly answer: number;
}

/** What the pager has of the world: text, and what a summary is made with. */
export interface PagerPorts {
  readonly engine: Pick<Engine, "ready" | "driver">;
  /** The most tokens that may be filed of one context. */
  readonly filedTokens: number;
  /** A summary of a run's tokens, or undefined when none is to be had. */
  readonly summarize: (tokens: readonly number[], turn: boolean) => Promise<number[]>;
}

/** Tokens of a segment that its stub shows. */
const HEAD = 24;
/** What a stub takes, about: the first guess of how many must leave. */
const STUB = 48;

/** The answer of a generation wants this share of the window at most. */
export function answerRoom(maxTokens: number, window: number): number {
  const most = Math.floor(window / 4);
  return maxTokens === 0 ? most : Math.min(maxTokens, most);
}

/**
 * The input of a call, and the edit that makes room for it where that is needed.
 * ENOMEM, with both numbers, when it can not fit; EDQUOT when no more can be filed.
 */
export async function fit(ports: PagerPorts, context: Context, need: Need): Promise<Fitted> {
  const window = ports.engine.ready.slotTokens;
  const input = await need.tokenize(context);
  const length = context.tokens.length + input.tokens.length;
  if (length + Math.max(1, need.answer) <= window) return { input, edit: undefined };
  const fits = length + 1 <= window;
  if (context.paging.policy !== "none" && input.tokens.length + 1 <= window) {
    const made = await makeRoom(ports, context, need, input);
    if (made && made.length + 1 <= window && made.length < length) return made;
    if (!fits && made) throw tooLong(made.length, window, "with all moved out that may be, ");
  }
  if (fits) return { input, edit: undefined };
  throw tooLong(length, window);
}

/** ENOMEM with both numbers. */
export function tooLong(length: number, window: number, why = ""): ContixError {
  const what = `${why}${length} tokens are over the window: it holds ${window}, with at least one for the answer; give less, or truncate the context`;
  return new ContixError("ENOMEM", what, { argument: "input" });
}

interface Made extends Fitted {
  readonly edit: Edit;
  /** Of the context with the input. */
  readonly length: number;
}

/** Moves out one more segment after the other until half the window is free, or none is left. */
async function makeRoom(
  ports: PagerPorts,
  context: Context,
  need: Need,
  first: Tokenized,
): Promise<Made | undefined> {
  const candidates = order(context.paging, context.tokens, asked(first));
  const goal = Math.floor(ports.engine.ready.slotTokens / 2);
  const sizes = new Map(context.paging.segments.map(({ id, tokens }) => [id, tokens]));
  let over = context.tokens.length + first.tokens.length + STUB - goal;
  let made: Made | undefined;
  let leaving: ReadonlySet<number> = new Set();
  for (let count = 0; count < candidates.length && over > 0; ) {
    for (; count < candidates.length && over > 0; count++) {
      over -= sizes.get(candidates[count] ?? 0) ?? 0;
    }
    leaving = new Set(candidates.slice(0, count));
    made = await tryOut(ports, context, need, leaving, false);
    over = made.length - goal;
  }
  if (!made) return undefined;
  checkFiled(ports.filedTokens, context.paging.filedTokens, made.edit.filed);
  // Which segments leave is decided; only now are summaries worth making.
  return context.paging.summaries ? tryOut(ports, context, need, leaving, true) : made;
}

async function tryOut(
  ports: PagerPorts,
  context: Context,
  need: Need,
  leaving: ReadonlySet<number>,
  summaries: boolean,
): Promise<Made> {
  const edit = await draft(ports, context, leaving, summaries);
  const tokens = [...context.tokens.slice(0, edit.from), ...edit.tokens];
  const input = await need.tokenize({ tokens, tail: edit.tail });
  return { input, edit, length: tokens.length + input.tokens.length };
}

/** The tokens of the user turn in an input; undefined: it has none. */
function asked({ tokens, parts }: Tokenized): readonly number[] | undefined {
  let end = tokens.length;
  for (const part of [...(parts ?? [])].reverse()) {
    const start = end - part.tokens;
    if (part.role === "user" && !part.copyOf) return tokens.slice(start, end);
    end = start;
  }
  return undefined;
}

/** The edit that moves these segments out. */
async function draft(
  ports: PagerPorts,
  context: Context,
  leaving: ReadonlySet<number>,
  summaries: boolean,
): Promise<Edit> {
  const pieces = layOut(context.paging.segments, leaving);
  const tokens: number[] = [];
  const segments: Segment[] = [];
  const filed: Filed[] = [];
  let from = -1;
  let tail: Tail = "empty";
  for (const piece of pieces) {
    if (piece.stays) {
      const { segment, start } = piece;
      for (let i = start; i < start + segment.tokens; i++) tokens.push(context.tokens[i] ?? 0);
      segments.push(segment);
      tail = segment.turn ? "closed" : "text";
      continue;
    }
    if (from < 0) from = tokens.length;
    for (const one of piece.run) {
      if (one.id > 0 && one.copyOf === 0) filed.push(toFile(context, one));
    }
    const stub = await stubOf(ports, context, piece.run, tokens.length === 0, summaries);
    if (!stub) continue;
    for (const token of stub.tokens) tokens.push(token);
    segments.push(stub.segment);
    tail = stub.segment.turn ? "closed" : "text";
  }
  // What stands at the end is known there.
  if (pieces.at(-1)?.stays) tail = context.tail;
  filed.sort((a, b) => a.id - b.id);
  const { cid } = context;
  return { type: "ctx.edited", cid, from, tokens: tokens.slice(from), tail, segments, filed };
}

function toFile(context: Context, { start, tokens, id, kind, role, turn }: Located): Filed {
  const end = start + tokens;
  const open = end === context.tokens.length && context.tail === "assistant";
  return { id, kind, role, turn, tokens: context.tokens.slice(start, end), open };
}

/** The stub of a run; undefined: it needs none. */
async function stubOf(
  ports: PagerPorts,
  context: Context,
  run: readonly Located[],
  start: boolean,
  summaries: boolean,
): Promise<{ tokens: number[]; segment: Segment } | undefined> {
  const handles = standsFor(run);
  const first = handles[0];
  if (first === undefined) return undefined;
  const content = (id: number): readonly number[] => {
    const here = run.find((one) => one.id === id);
    if (here) return context.tokens.slice(here.start, here.start + here.tokens);
    return context.paging.filed.get(id)?.tokens ?? [];
  };
  const turn = run.every((one) => one.turn);
  const count = handles.reduce((sum, id) => sum + content(id).length, 0);
  const summed = summaries ? await ports.summarize(handles.flatMap(content), turn) : [];
  const summary = summed.length > 0;
  const head = summary ? summed : content(first).slice(0, HEAD);
  const value = { handles, tokens: count, head, summary, turn, start };
  const tokens = await ports.engine.driver.text({ $case: "stub", value });
  const rest = { role: "user", pinned: true, turn, copyOf: 0, stands: handles } as const;
  return { tokens, segment: { id: 0, kind: "stub", tokens: tokens.length, ...rest } };
}

/** Tokens that an edit files. */
export function filedBy(edit: Pick<Edit, "filed"> | undefined): number {
  return edit?.filed.reduce((sum, { tokens }) => sum + tokens.length, 0) ?? 0;
}

/** EDQUOT when with `filed` more than `limit` tokens would be filed of a context. */
export function checkFiled(limit: number, used: number, filed: readonly Filed[]): void {
  const more = filedBy({ filed });
  const fix = "forget some segments, or go on in a new context";
  checkQuota({ quota: "filedTokens", limit, used, more, who: "this context", fix });
}

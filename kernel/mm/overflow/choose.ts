/**
 * Which segments leave, and what the context then looks like. Pure: the same context
 * gives the same answer.
 *
 * Whole segments leave, in the order of the policy, until what stays takes up half of
 * the window: the next overflow is then half a window away, and what must be computed
 * again behind the first cut is paid for by many turns. What is pinned never leaves,
 * nor does the last user turn. A run of segments that left, with the stubs between
 * them, becomes one stub. A recalled copy leaves nothing: its segment is filed, and has
 * a stub already.
 */
import { bm25 } from "./bm25.js";
import type { PagingView, Segment } from "./segments.js";

/** What an edited context is made of: segments that stay, and runs that a stub replaces. */
export type Piece =
  | { readonly stays: true; readonly segment: Segment; readonly start: number }
  | { readonly stays: false; readonly run: readonly Located[] };

export interface Located extends Segment {
  /** Its first token's position. */
  readonly start: number;
}

export function located(segments: readonly Segment[]): Located[] {
  let start = 0;
  return segments.map((segment) => {
    const at = start;
    start += segment.tokens;
    return { ...segment, start: at };
  });
}

/** The last turn of a user, or text of one, that is no copy; undefined: there is none. */
export function lastAsked(segments: readonly Segment[]): Segment | undefined {
  return segments.findLast(({ role, id, copyOf }) => role === "user" && id > 0 && copyOf === 0);
}

/**
 * The handles of what may leave, in the order in which it leaves. `asked`: the tokens of
 * the user turn that is about to be appended; undefined: the last one in the context
 * counts, and stays.
 */
export function order(
  { policy, segments }: Pick<PagingView, "policy" | "segments">,
  tokens: readonly number[],
  asked: readonly number[] | undefined,
): number[] {
  if (policy === "none") return [];
  const last = lastAsked(segments);
  const all = located(segments);
  const free = all.filter(
    ({ id, pinned }) => id > 0 && !pinned && (asked !== undefined || id !== last?.id),
  );
  if (policy === "oldest") return free.map(({ id }) => id);
  const at = all.find(({ id }) => id === last?.id);
  const query = asked ?? (at ? tokens.slice(at.start, at.start + at.tokens) : []);
  const scores = bm25(
    [query],
    free.map(({ start, tokens: count }) => tokens.slice(start, start + count)),
  );
  // Of equal ones the older leaves first.
  const ranked = free.map(({ id }, i) => ({ id, score: scores[i] ?? 0 }));
  return ranked.sort((a, b) => a.score - b.score || a.id - b.id).map(({ id }) => id);
}

/** The context without the segments of these handles. */
export function layOut(segments: readonly Segment[], leaving: ReadonlySet<number>): Piece[] {
  const pieces: Piece[] = [];
  let run: Located[] = [];
  const close = (): void => {
    if (run.some(({ id }) => leaving.has(id))) pieces.push({ stays: false, run });
    else for (const { start, ...segment } of run) pieces.push({ stays: true, segment, start });
    run = [];
  };
  for (const one of located(segments)) {
    if (leaving.has(one.id) || one.kind === "stub") {
      run.push(one);
      continue;
    }
    close();
    const { start, ...segment } = one;
    pieces.push({ stays: true, segment, start });
  }
  close();
  return pieces;
}

/** The handles that the stub of a run stands for, rising; none: it needs no stub. */
export function standsFor(run: readonly Segment[]): number[] {
  const handles = run.flatMap(({ id, copyOf, stands }) =>
    id > 0 && copyOf === 0 ? [id] : [...stands],
  );
  return [...new Set(handles)].sort((a, b) => a - b);
}

/**
 * What must enter a slot before a context can run, and how.
 *
 * A context's history is a sequence of runs, each wholly given or wholly
 * generated. Law 2 fixes the way each token's KV is computed: a given run of two
 * or more tokens enters by prefill, in chunks of at least two; a generated token,
 * and a given run of exactly one token, enters by decode. The way in is a property
 * of the history, never of the schedule: a run that was cut, lost or extended is
 * entered again as if nothing had happened. A history without runs (one-way.ts) may enter
 * in any way, and enters in the fastest.
 */
import type { Run } from "../journal/state.js";

export interface History {
  readonly tokens: { readonly length: number };
  readonly runs: readonly Run[];
}

/** Tokens [start, end) that enter the same way. */
export interface Segment {
  readonly start: number;
  readonly end: number;
  readonly how: "prefill" | "decode";
}

/** The run that holds position `at`, as [start, end) and class. */
function runAt(history: History, at: number): { start: number; end: number; given: boolean } {
  const { runs } = history;
  let i = runs.length - 1;
  while (i > 0 && (runs[i]?.start ?? 0) > at) i--;
  return {
    start: runs[i]?.start ?? 0,
    end: runs[i + 1]?.start ?? history.tokens.length,
    given: runs[i]?.given ?? true,
  };
}

/**
 * How many of the `resident` tokens in a slot can be kept, so that what remains
 * can enter as law 2 says and the last token's logits are computed. At most two
 * tokens are given back beyond that.
 */
export function keepable(history: History, resident: number): number {
  const length = history.tokens.length;
  if (length === 0) return 0;
  let keep = Math.min(resident, length - 1);
  if (history.runs.length === 0) return keep;
  const run = runAt(history, keep);
  if (!run.given || run.end - run.start < 2) return keep;
  // A remainder of one could not enter by prefill.
  if (run.end - keep === 1) keep -= 1;
  // The run's first token may have entered by decode, when it was the only one.
  if (keep === run.start + 1) keep = run.start;
  return keep;
}

/**
 * How many of the `resident` tokens in a slot entered as the history says today. A given
 * run's first token entered by decode while it was the only one; once the run has grown
 * that was the wrong way. It can only be the last one in the slot.
 */
export function enteredRight(history: History, resident: number): number {
  if (resident === 0 || history.runs.length === 0) return resident;
  const run = runAt(history, resident - 1);
  const outgrown = run.given && run.start === resident - 1 && run.end - run.start > 1;
  return outgrown ? resident - 1 : resident;
}

/** The segments that must enter after the first `from` tokens (a result of keepable). */
export function segments(history: History, from: number): Segment[] {
  const out: Segment[] = [];
  const length = history.tokens.length;
  if (history.runs.length === 0 && from < length) {
    return [{ start: from, end: length, how: length - from > 1 ? "prefill" : "decode" }];
  }
  for (let at = from; at < length; ) {
    const run = runAt(history, at);
    const how = run.given && run.end - run.start >= 2 ? "prefill" : "decode";
    const last = out.at(-1);
    if (last?.how === "decode" && how === "decode") {
      out[out.length - 1] = { start: last.start, end: run.end, how };
    } else {
      out.push({ start: at, end: run.end, how });
    }
    at = run.end;
  }
  return out;
}

/**
 * The size of the next prefill chunk: `preferred`, but never one that leaves a
 * remainder of one token. `left` ≥ 2, `preferred` ≥ 2; the result is 2 to left.
 */
export function chunkSize(left: number, preferred: number): number {
  const size = Math.min(preferred, left);
  if (left - size !== 1) return size;
  return size > 2 ? size - 1 : size + 1;
}

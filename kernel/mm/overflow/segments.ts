/**
 * Segments: what a context is made of, as its callers see it. A message is one, an
 * answer is one, a text that was appended is one; they lie one behind the other and
 * cover every token. The pager moves whole segments only.
 *
 * This is the fold's part: what each record makes of the segments. Nothing else
 * changes them.
 */

export const OVERFLOW_POLICIES = ["oldest", "relevance", "none"] as const;
export type OverflowPolicy = (typeof OVERFLOW_POLICIES)[number];

/** stub: the note that stands where segments were moved out. */
export type SegmentKind = "system" | "tools" | "history" | "scratch" | "stub";
export type Role = "system" | "user" | "assistant";

export interface Segment {
  /** Its handle in the context, never used again; 0: a stub, which nobody can move. */
  readonly id: number;
  readonly kind: SegmentKind;
  readonly role: Role;
  /** By its caller, or because it is system or tools: it is never moved out. */
  readonly pinned: boolean;
  /** A turn of the chat template; else plain text. */
  readonly turn: boolean;
  readonly tokens: number;
  /** A copy of a filed segment, that was recalled; 0: none. */
  readonly copyOf: number;
  /** The segments that a stub stands for, rising. */
  readonly stands: readonly number[];
}

/** A part of an input, as a segment to be. */
export interface Part extends Pick<Segment, "kind" | "role" | "pinned" | "turn" | "tokens"> {
  readonly copyOf?: number;
  /** Its tokens end the segment before it. */
  readonly joins?: boolean;
}

/** A segment that was moved out. */
export interface Filed extends Pick<Segment, "id" | "kind" | "role" | "turn"> {
  readonly tokens: readonly number[];
  /** Its turn was still open: it was the context's last. */
  readonly open: boolean;
}

/** What a snapshot says of the segments: all of them, or parts of its tokens. */
export type Filling =
  | {
      readonly segments: readonly Segment[];
      readonly filed: readonly Filed[];
      readonly nextId: number;
    }
  | { readonly segments?: undefined; readonly parts?: readonly Part[] };

/** What a context knows of its segments, and how it deals with overflow. */
export interface Paging {
  readonly policy: OverflowPolicy;
  /** The model sums up what is moved out. */
  readonly summaries: boolean;
  readonly segments: Segment[];
  /** Rising by handle, that is: by age. */
  readonly filed: Map<number, Filed>;
  filedTokens: number;
  nextId: number;
  /** It passed the mark, and was not below it since. */
  high: boolean;
}

export function newPaging(policy: OverflowPolicy = "none", summaries = false): Paging {
  const rest = { filedTokens: 0, nextId: 1, high: false };
  return { policy, summaries, segments: [], filed: new Map(), ...rest };
}

/** What a text, or tokens, that nobody said more of is. */
export function plainPart(tokens: number): Part {
  return { kind: "history", role: "user", pinned: false, turn: false, tokens };
}

/** Tokens were given; without parts they are one. */
export function noteGiven(paging: Paging, count: number, parts?: readonly Part[]): void {
  if (count === 0) return;
  for (const part of parts ?? [plainPart(count)]) add(paging, part);
}

/** Tokens were generated: they go on with the assistant's segment, or begin one. */
export function noteGenerated(paging: Paging, count: number, turn: boolean): void {
  if (count === 0) return;
  const { segments } = paging;
  const last = segments.at(-1);
  // Not with a copy: that leaves without a trace, and this must be filed.
  if (last?.role === "assistant" && last.copyOf === 0) {
    segments[segments.length - 1] = { ...last, tokens: last.tokens + count };
  } else add(paging, { ...plainPart(count), role: "assistant", turn });
}

/** Everything from position `length` on was forgotten. */
export function noteCut(paging: Paging, length: number): void {
  const { segments } = paging;
  let end = 0;
  for (const [i, segment] of segments.entries()) {
    const left = length - end;
    end += segment.tokens;
    if (end <= length) continue;
    segments.length = i;
    if (left > 0) segments.push({ ...segment, tokens: left });
    return;
  }
}

/** The pager's edit: the segments as they are now, and those that were filed. */
export function noteEdit(
  paging: Paging,
  segments: readonly Segment[],
  filed: readonly Filed[],
): void {
  paging.segments.splice(0, Number.POSITIVE_INFINITY, ...segments);
  for (const segment of filed) {
    paging.filed.set(segment.id, segment);
    paging.filedTokens += segment.tokens.length;
  }
}

/** A fresh context was filled from a snapshot: its segments as they were, or in parts. */
export function noteFilled(paging: Paging, count: number, saved: Filling = {}): void {
  if (!saved.segments) {
    noteGiven(paging, count, saved.parts);
    return;
  }
  noteEdit(paging, saved.segments, saved.filed);
  paging.nextId = saved.nextId;
}

export function noteForgot(paging: Paging, ids: readonly number[]): void {
  for (const id of ids) {
    paging.filedTokens -= paging.filed.get(id)?.tokens.length ?? 0;
    paging.filed.delete(id);
  }
}

/** Gives a fresh context what another has of this. Its owner has heard nothing of it yet. */
export function copyPaging(from: PagingView): Paging {
  const { segments, filed, ...rest } = from;
  return { ...rest, segments: [...segments], filed: new Map(filed), high: false };
}

/** As readers see it. */
export interface PagingView extends Readonly<Omit<Paging, "segments" | "filed">> {
  readonly segments: readonly Segment[];
  readonly filed: ReadonlyMap<number, Filed>;
}

function add(paging: Paging, part: Part): void {
  if (part.tokens === 0) return;
  const { segments } = paging;
  const last = segments.at(-1);
  if (part.joins && last) {
    segments[segments.length - 1] = { ...last, tokens: last.tokens + part.tokens };
    return;
  }
  const { kind, role, turn, tokens, copyOf = 0 } = part;
  const pinned = part.pinned || kind === "system" || kind === "tools";
  const id = paging.nextId++;
  segments.push({ id, kind, role, pinned, turn, tokens, copyOf, stands: [] });
}

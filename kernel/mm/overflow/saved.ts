/**
 * Segments in a snapshot: written as they are, and read with as little trust as the
 * rest of the file. A file of version 1 has none; then what its runs and seams tell
 * apart is one each, since one segment for all could only leave as a whole.
 */
import type {
  Snapshot,
  SnapshotFiled,
  SnapshotPaging,
  SnapshotSegment,
} from "../../../proto/gen/contix/v1/snapshot.js";
import type { Run, Seam } from "../../journal/state.js";
import type { Filed, OverflowPolicy, PagingView, Part, Role, Segment } from "./segments.js";
import { OVERFLOW_POLICIES, plainPart } from "./segments.js";

/** The segments of a context that is filled: those that it had, and those that had left it. */
export interface Saved {
  readonly segments: readonly Segment[];
  readonly filed: readonly Filed[];
  readonly nextId: number;
}

const ROLES: readonly Role[] = ["system", "user", "assistant"];
const KINDS: readonly Segment["kind"][] = ["system", "tools", "history", "scratch", "stub"];
const NOTE = "stub";
/** No context comes to so many, and a handle has room for twice as many. */
const MOST_SEGMENTS = 2 ** 31;
/** Handles that notes name of segments that were forgotten: nobody pays for them. */
const MOST_FORGOTTEN = 16_384;

/** What a snapshot says of a context's segments. */
export function savePaging(paging: PagingView): SnapshotPaging {
  const { policy: overflow, summaries, nextId, segments, filed } = paging;
  return {
    ...{ overflow, summaries, nextId },
    segments: segments.map((segment) => ({ ...segment, stands: [...segment.stands] })),
    filed: [...filed.values()].map((segment) => ({ ...segment, tokens: [...segment.tokens] })),
  };
}

/** What is wrong with the segments of a snapshot; undefined: nothing. */
export function faultOf({ paging, tokens, vocab }: Snapshot): string | undefined {
  if (!paging) return undefined;
  const { overflow, segments, filed, nextId } = paging;
  if (!isPolicy(overflow)) return `its overflow "${overflow}" is unknown`;
  const total = segments.reduce((sum, segment) => sum + segment.tokens, 0);
  if (total !== tokens.length) {
    return `its segments have ${total} tokens, and it has ${tokens.length}`;
  }
  const own = segments.filter(({ kind }) => kind !== NOTE).map(({ id }) => id);
  const ids = [...own, ...filed.map(({ id }) => id)];
  if (ids.some((id) => id === 0 || id >= nextId) || new Set(ids).size < ids.length) {
    return "its segments' handles are wrong";
  }
  if (nextId === 0 || nextId > MOST_SEGMENTS) {
    return "its segments' handles are wrong";
  }
  const stood = segments.reduce((sum, { stands }) => sum + stands.length, 0);
  if (stood > filed.length + MOST_FORGOTTEN) {
    return `its notes stand for ${stood} segments, of which ${filed.length} are there`;
  }
  if (filed.some(({ id }, i) => id <= (filed[i - 1]?.id ?? 0)))
    return "its filed segments are in no order";
  const odd = segments.find((one) => !isSegment(one, nextId)) ?? filed.find((one) => !isFiled(one));
  if (odd) return `its segment ${odd.id} is wrong`;
  const wrong = filed.flatMap((one) => one.tokens).find((token) => token >= vocab);
  return wrong === undefined
    ? undefined
    : `its filed token ${wrong} is outside its vocabulary of ${vocab}`;
}

/** The segments of a snapshot without faults. */
export function segmentsOf({ paging }: Snapshot): Saved | undefined {
  if (!paging) return undefined;
  const { nextId } = paging;
  const segments = paging.segments.map((one) => ({ ...one, ...namesOf(one) }));
  const filed = paging.filed.map((one) => ({ ...one, ...namesOf(one) }) as Filed);
  return { segments, filed, nextId };
}

/** How a snapshot's context deals with overflow; undefined: it does not say. */
export function policyOf({
  paging,
}: Snapshot): { overflow: OverflowPolicy; summaries: boolean } | undefined {
  if (!paging || !isPolicy(paging.overflow)) return undefined;
  return { overflow: paging.overflow, summaries: paging.summaries };
}

/** The parts that runs and seams tell apart: for a context that nobody said more of. */
export function partsOf({
  tokens,
  runs,
  seams,
}: {
  readonly tokens: readonly number[];
  readonly runs: readonly Run[];
  readonly seams: readonly Seam[];
}): Part[] {
  const ends = [...runs.map(({ start }) => start), ...seams.map(({ at }) => at), tokens.length];
  const cuts = [...new Set(ends)].sort((a, b) => a - b);
  const parts: Part[] = [];
  for (const [i, end] of cuts.entries()) {
    const start = cuts[i - 1] ?? 0;
    if (end === start) continue;
    const given = runs.findLast((run) => run.start <= start)?.given ?? true;
    // What was generated goes on with what the input before it opened.
    const seam = given ? seams.find(({ at }) => at >= end) : seams.find(({ at }) => at === start);
    const turn = seam?.tail === "closed" || seam?.tail === "assistant";
    parts.push({ ...plainPart(end - start), role: given ? "user" : "assistant", turn });
  }
  return parts;
}

function isPolicy(text: string): text is OverflowPolicy {
  return (OVERFLOW_POLICIES as readonly string[]).includes(text);
}

function namesOf({
  kind,
  role,
}: {
  readonly kind: string;
  readonly role: string;
}): Pick<Segment, "kind" | "role"> {
  const [known = "history"] = KINDS.filter((name) => name === kind);
  const [who = "user"] = ROLES.filter((name) => name === role);
  return { kind: known, role: who };
}

function isNamed({ kind, role }: { readonly kind: string; readonly role: string }): boolean {
  return (KINDS as readonly string[]).includes(kind) && (ROLES as readonly string[]).includes(role);
}

/** A note has no handle and stands for others; nothing else does. */
function isSegment(segment: SnapshotSegment, nextId: number): boolean {
  const { id, kind, tokens, stands, copyOf, pinned } = segment;
  const note = kind === NOTE;
  if (!isNamed(segment) || tokens === 0 || copyOf >= nextId) return false;
  if (note !== (id === 0) || note !== stands.length > 0 || (note && !pinned)) return false;
  return stands.every((one, i) => one > (stands[i - 1] ?? 0) && one < nextId);
}

function isFiled(segment: SnapshotFiled): boolean {
  return isNamed(segment) && segment.kind !== NOTE && segment.tokens.length > 0;
}

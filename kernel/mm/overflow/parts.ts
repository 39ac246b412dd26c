/** The parts of an input: which of its tokens are which segment. */
import { ContixError } from "../../../proto/errno.js";
import type { Tail } from "../../journal/records.js";
import type { Part, Role, SegmentKind } from "./segments.js";

/** What its caller says of an input. */
export interface Marks {
  /** "": by the role of each message. */
  readonly segment?: string;
  readonly keep?: boolean;
}

const KINDS: readonly SegmentKind[] = ["system", "tools", "history", "scratch"];

/** The kind and the pin of a part that its caller marked. EINVAL. */
export function checkKind(
  { segment = "", keep = false }: Marks,
  part: Pick<Part, "kind">,
): Pick<Part, "kind" | "pinned"> {
  if (segment === "") return { kind: part.kind, pinned: keep };
  const kind = KINDS.find((name) => name === segment);
  if (!kind) {
    const message = `segment is "${segment}"; it must be one of ${KINDS.join(", ")}`;
    throw new ContixError("EINVAL", message, { argument: "segment" });
  }
  return { kind, pinned: keep };
}

/**
 * The parts of messages, `total` tokens in all. `ends` is the text server's: where what
 * stands before the first message ends, then each message. What stands before is the
 * end of the turn before, or what the template begins every context with.
 */
export function messageParts(
  messages: readonly { readonly role: string }[],
  total: number,
  ends: readonly number[],
  tail: Tail,
  marks: Marks,
): Part[] {
  const before = Math.min(ends[0] ?? 0, total);
  const parts: Part[] = [];
  if (before > 0 && tail === "empty") parts.push(part("system", before));
  else if (before > 0) parts.push({ ...part("assistant", before), joins: true });
  let start = before;
  for (const [i, { role }] of messages.entries()) {
    const end = i === messages.length - 1 ? total : Math.min(ends[i + 1] ?? start, total);
    const made = part(role as Role, end - start);
    // A system message that shares its turn with the next has the pin for both.
    if (end > start) parts.push({ ...made, ...checkKind(marks, made) });
    start = end;
  }
  return parts;
}

/** What opens the assistant's turn: its answer goes on with it. */
export function openingPart(tokens: number): Part {
  return part("assistant", tokens);
}

function part(role: Role, tokens: number): Part {
  const kind = role === "system" ? "system" : "history";
  return { kind, role, pinned: false, turn: true, tokens };
}

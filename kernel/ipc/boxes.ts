/** Mailboxes as the calls find them, and whether a message has room. */
import { ContixError } from "../../proto/errno.js";
import { type Limits, NONE, principalLimit } from "../cap/rates/quota.js";
import { showId } from "../ids.js";
import type { BoxRef } from "../journal/fold-ipc.js";
import { ENVELOPE } from "../journal/fold-mail.js";
import type { Process, ReadonlyState } from "../journal/journal.js";

/** A mailbox, as readers see it. */
export type Box = Process["mailbox"];
export type Letter = Box["mails"][number];

/** What is said when a mailbox is full: when to try again, microseconds. */
export const RETRY_US = 100_000;

/** The mailbox itself; undefined when it, or its process, is gone. */
export function findBox(state: ReadonlyState, ref: BoxRef): Box | undefined {
  if ("pid" in ref) {
    const process = state.processes.get(ref.pid);
    return process?.exit ? undefined : process?.mailbox;
  }
  const object = state.ipc.objects.get(ref.id);
  return object?.type === "mailbox" ? object.box : undefined;
}

/** Bytes that come at the same time, by the budget or the principal that they are counted for. */
export type Coming = Map<unknown, number>;

/** Whether a message of `bytes` fits in. Each that does is counted in `coming`, for those that come with it. */
export function hasRoom(
  state: ReadonlyState,
  box: Box,
  bytes: number,
  limits: Limits,
  coming?: Coming,
): boolean {
  const size = bytes + ENVELOPE;
  const fits = isOpen(box, bytes, limits) && overBytes(state, limits, box, size, coming) === "";
  if (fits && coming) {
    for (const of of [...box.budgets, box.principal]) coming.set(of, (coming.get(of) ?? 0) + size);
  }
  return fits;
}

/** Whether it has room of its own, by its bounds. An empty mailbox has room for any message. */
export function isOpen(box: Box, bytes: number, limits: Limits): boolean {
  const messages = box.maxMessages || limits.mailboxMessages;
  const most = box.maxBytes || limits.mailboxBytes;
  return box.mails.length === 0 || (box.mails.length < messages && box.bytes + bytes <= most);
}

/** EAGAIN: the mailbox is full, or whose it is has as much in all as may be. */
export function checkFits(state: ReadonlyState, box: Box, bytes: number, limits: Limits): void {
  const why = isOpen(box, bytes, limits)
    ? overBytes(state, limits, box, bytes + ENVELOPE)
    : `${box.title} is full`;
  if (why !== "") throw new ContixError("EAGAIN", why, { retryAfterUs: RETRY_US });
}

/**
 * The quota mailboxBytes that so many bytes more would be over, as an error says it; "": none.
 * Who has nothing has room for any message: else one that is too large would never come.
 */
export function overBytes(
  { ipc, principals }: Pick<ReadonlyState, "ipc" | "principals">,
  limits: Limits,
  { principal, budgets }: Pick<Box, "principal" | "budgets">,
  bytes: number,
  coming?: Coming,
): string {
  const isOver = (of: unknown, held: number, most: number): boolean => {
    const there = held + (coming?.get(of) ?? 0);
    return there > 0 && there + bytes > most;
  };
  const full = "of mailboxBytes is full: receive what lies in mailboxes and pipes";
  for (const budget of budgets) {
    const most = budget.quota.mailboxBytes ?? NONE;
    if (isOver(budget, budget.mailBytes, most)) return `the quota of ${showId(budget.of)} ${full}`;
  }
  const most = principalLimit({ principals }, limits, principal, "mailboxBytes");
  const held = ipc.bytes.get(principal) ?? 0;
  return isOver(principal, held, most) ? `the quota of the principal ${principal} ${full}` : "";
}

/** Whether it may be received now: nobody has it, and it does not rest. */
export function isVisible({ lease }: Letter): boolean {
  return lease === undefined;
}

export function inboxTitle(pid: bigint): string {
  return `the inbox of ${showId(pid)}`;
}

/** A key for maps: mailboxes of processes and objects have ids of their own. */
export function boxKey(ref: BoxRef): string {
  return "pid" in ref ? `pid ${ref.pid}` : `id ${ref.id}`;
}

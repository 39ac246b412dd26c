/** Mailboxes as the calls find them, and whether a message has room. */
import { ContixError } from "../../proto/errno.js";
import { principalLimit } from "../cap/rates/quota.js";
import type { Config } from "../config.js";
import { showId } from "../ids.js";
import type { BoxRef } from "../journal/fold-ipc.js";
import type { Process, ReadonlyState } from "../journal/journal.js";

/** A mailbox, as readers see it. */
export type Box = Process["mailbox"];
export type Letter = Box["mails"][number];

/** What is said when a mailbox is full: when to try again, microseconds. */
const RETRY_US = 100_000;

/** The mailbox itself; undefined when it, or its process, is gone. */
export function findBox(state: ReadonlyState, ref: BoxRef): Box | undefined {
  if ("pid" in ref) {
    const process = state.processes.get(ref.pid);
    return process?.exit ? undefined : process?.mailbox;
  }
  const object = state.ipc.objects.get(ref.id);
  return object?.type === "mailbox" ? object.box : undefined;
}

/** Whether a message of `bytes` fits in. An empty mailbox has room for any message. */
export function hasRoom(
  state: ReadonlyState,
  box: Box,
  bytes: number,
  limits: Config["limits"],
): boolean {
  const messages = box.maxMessages || limits.mailboxMessages;
  const quota = principalLimit(state, limits, box.principal, "mailboxBytes");
  const most = Math.min(box.maxBytes || limits.mailboxBytes, quota);
  return box.mails.length === 0 || (box.mails.length < messages && box.bytes + bytes <= most);
}

/** EAGAIN: the mailbox is full. */
export function full(title: string): ContixError {
  return new ContixError("EAGAIN", `${title} is full`, { retryAfterUs: RETRY_US });
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

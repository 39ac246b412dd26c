/**
 * Mailboxes: who waits for a message, and what becomes of one that was handed out to be
 * acknowledged.
 *
 * A plain receive takes the message: that and the answer are one transaction, so each is
 * received exactly once. A receive with a visibility time leases it: the message stays,
 * unseen by others, until it is acknowledged. When the time is over, or the receiver's
 * process is, it is delivered again; so it is received at least once. A message that was
 * handed out too often in vain is a dead letter and moves to the mailbox for those. Where
 * that has no room it rests, and is tried again: it is never lost.
 */
import type { ContixError } from "../../proto/errno.js";
import type { Clock } from "../clock.js";
import type { Config } from "../config.js";
import { makeId } from "../ids.js";
import { type BoxRef, nameKey } from "../journal/fold-ipc.js";
import type { Journal } from "../journal/journal.js";
import type { JournalRecord } from "../journal/records.js";
import { type Box, boxKey, findBox, isOpen, isVisible, type Letter } from "./boxes.js";

export interface Receiver {
  readonly pid: bigint;
  readonly wants: (mail: Letter) => boolean;
  /** Answers the call, and appends what that does to the message. */
  readonly take: (mail: Letter) => void;
  readonly end: (error: ContixError) => void;
}

/** How long a dead letter rests for which there is no room. */
const REST_US = 30_000_000;
const DEAD_LETTERS_DELIVERIES = 0x7fffffff;

interface Lease {
  readonly ref: BoxRef;
  readonly id: bigint;
  readonly pid: bigint;
  readonly cancel: () => void;
}

export class Mailboxes {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #limits: Config["limits"];
  readonly #waiting = new Map<string, { readonly ref: BoxRef; readonly queue: Receiver[] }>();
  /** By mailbox and message. */
  readonly #leases = new Map<string, Lease>();

  constructor(journal: Journal, clock: Clock, limits: Config["limits"]) {
    this.#journal = journal;
    this.#clock = clock;
    this.#limits = limits;
  }

  /** The id of the next message. */
  nextId(): bigint {
    return makeId(this.#journal.node, this.#journal.state.counters.mail + 1);
  }

  /** Hands the receiver what it wants now or later; the result takes it back. */
  wait(ref: BoxRef, receiver: Receiver): () => void {
    const key = boxKey(ref);
    const queue = this.#waiting.get(key)?.queue ?? ([] as Receiver[]);
    this.#waiting.set(key, { ref, queue });
    queue.push(receiver);
    this.offer(ref);
    return () => this.#leave(key, queue, receiver);
  }

  /** Hands what is in the mailbox to those who wait: to each, as they came, the first that it wants. */
  offer(ref: BoxRef): void {
    const key = boxKey(ref);
    for (;;) {
      const box = findBox(this.#journal.state, ref);
      const queue = this.#waiting.get(key)?.queue;
      if (!box || !queue) return;
      const match = firstMatch(box, queue);
      if (!match) return;
      this.#leave(key, queue, match.receiver);
      match.receiver.take(match.mail);
    }
  }

  /** Watches over a message that was leased, or that rests (pid 0), by its record. */
  leased(ref: BoxRef, id: bigint, pid: bigint, us: number): void {
    const key = leaseKey(ref, id);
    this.#leases.get(key)?.cancel();
    const over = (): void => this.#expired(key);
    this.#leases.set(key, { ref, id, pid, cancel: this.#clock.after(us, over) });
  }

  /** What to append when the message is given back, and what then to do. */
  giveBack(ref: BoxRef, mail: Letter): { records: JournalRecord[]; after: () => void } {
    this.ended(ref, mail.id);
    const { id } = mail;
    const box = findBox(this.#journal.state, ref);
    const dead = box && mail.deliveries >= box.maxDeliveries && box.deadLetters !== "";
    if (!dead) {
      const records: JournalRecord[] = [{ type: "mail.returned", box: ref, id }];
      return { records, after: () => this.offer(ref) };
    }
    const grave = this.#grave(box);
    const room = grave && findBox(this.#journal.state, grave.ref);
    // Its principal has no more by that than before.
    if (!grave || (room && !isOpen(room, mail.body.length, this.#limits))) {
      const records: JournalRecord[] = [
        { type: "mail.leased", box: ref, id, pid: 0n, us: REST_US },
      ];
      return { records, after: () => this.leased(ref, id, 0n, REST_US) };
    }
    const why = `${box.title}: delivered ${mail.deliveries} times and not acknowledged`;
    const died: JournalRecord = { type: "mail.died", box: ref, id, to: grave.ref, why };
    return { records: [...grave.records, died], after: () => this.offer(grave.ref) };
  }

  /** The lease is over: the message was acknowledged. */
  ended(ref: BoxRef, id: bigint): void {
    const key = leaseKey(ref, id);
    this.#leases.get(key)?.cancel();
    this.#leases.delete(key);
  }

  /** What a run of the process had is delivered again. */
  runOver(pid: bigint): void {
    const held = [...this.#leases].filter(([, lease]) => lease.pid === pid);
    for (const [key] of held) this.#expired(key);
  }

  /** The process is over: the same, and its inbox is gone. */
  processOver(pid: bigint): void {
    this.runOver(pid);
    // Its own inbox is gone, and what rested there.
    for (const [key, { ref, cancel }] of [...this.#leases]) {
      if (!("pid" in ref) || ref.pid !== pid) continue;
      cancel();
      this.#leases.delete(key);
    }
  }

  /** The receivers that wait on mailboxes that are objects, by id. */
  waiting(): { readonly id: bigint; readonly receivers: readonly Receiver[] }[] {
    return [...this.#waiting.values()].flatMap(({ ref, queue }) =>
      "id" in ref ? [{ id: ref.id, receivers: [...queue] }] : [],
    );
  }
  count(ref: BoxRef): number {
    return this.#waiting.get(boxKey(ref))?.queue.length ?? 0;
  }

  #expired(key: string): void {
    const lease = this.#leases.get(key);
    if (!lease) return;
    const { ref, id } = lease;
    this.ended(ref, id);
    const mail = findBox(this.#journal.state, ref)?.mails.find((each) => each.id === id);
    if (!mail?.lease) return;
    const { records, after } = this.giveBack(ref, mail);
    this.#journal.append(...records);
    after();
  }

  /** Where a mailbox's dead letters go; made when it is not there. Undefined: there is no room for one more. */
  #grave({ principal, deadLetters: name }: Box) {
    const { ipc } = this.#journal.state;
    const known = ipc.names.get(nameKey(principal, "mailbox", name));
    if (known !== undefined) return { ref: { id: known }, records: [] as JournalRecord[] };
    const held = ipc.counts.get(principal) ?? 0;
    if (held >= this.#limits.ipcObjectsPerPrincipal) return undefined;
    const id = makeId(this.#journal.node, ipc.last + 1);
    const bounds = { maxMessages: 0, maxBytes: 0, maxDeliveries: DEAD_LETTERS_DELIVERIES };
    const object = { type: "mailbox" as const, ...bounds, deadLetters: "" };
    const made: JournalRecord = { type: "ipc.opened", id, principal, name, object };
    return { ref: { id }, records: [made] };
  }

  #leave(key: string, queue: Receiver[], receiver: Receiver): void {
    const at = queue.indexOf(receiver);
    if (at >= 0) queue.splice(at, 1);
    if (queue.length === 0 && this.#waiting.get(key)?.queue === queue) this.#waiting.delete(key);
  }
}

function firstMatch(
  { mails }: Box,
  queue: readonly Receiver[],
): { receiver: Receiver; mail: Letter } | undefined {
  for (const receiver of queue) {
    const mail = mails.find((each) => isVisible(each) && receiver.wants(each));
    if (mail) return { receiver, mail };
  }
  return undefined;
}

function leaseKey(ref: BoxRef, id: bigint): string {
  return `${boxKey(ref)} ${id}`;
}

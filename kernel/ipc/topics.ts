/**
 * Topics: what is published to a subject reaches all subscriptions of the same principal
 * whose pattern it fits, here and on other kernels. A subscription is a mailbox of its
 * own, bounded as all are.
 *
 * When a subscription is full, it depends on what it asked for. Most miss the message, and
 * the next one that they get says how many were missed. One that refuses makes the
 * publisher wait: the publication is EAGAIN, and nobody gets it.
 *
 * Here, publication, delivery and answer are one transaction: exactly once. To and from
 * other kernels it goes over the bus, at most once: what was published there while the
 * line was down is lost, and the next message from there says so (`lapsed`). A subscriber
 * on another kernel never holds up a publisher: where it refuses, it misses.
 */
import { ContixError } from "../../proto/errno.js";
import { Mail as WireMail } from "../../proto/gen/contix/v1/ipc.js";
import type { Config } from "../config.js";
import { makeId } from "../ids.js";
import type { Journal } from "../journal/journal.js";
import type { JournalRecord } from "../journal/records.js";
import { type Box, type Coming, findBox, hasRoom } from "./boxes.js";
import { type Bus, type BusSubscription, checkSize } from "./bus.js";
import type { Mailboxes } from "./mailboxes.js";
import { matches } from "./subjects.js";

export interface Publication {
  readonly principal: string;
  readonly from: bigint;
  readonly subject: string;
  readonly body: Uint8Array;
}

/** Where a publication may go: see PublishCall. */
export type Scope = "" | "all" | "local";

/** A publication that is checked: what it appends, and what is then to do. */
export interface Prepared {
  readonly delivered: number;
  readonly missed: number;
  readonly records: JournalRecord[];
  /** Wakes subscribers. Call it when the records are appended. */
  readonly after: () => void;
}

/** What a publication takes on the bus besides its body, at most. */
const ENVELOPE = 32;

interface Subscriber {
  readonly id: bigint;
  readonly refuses: boolean;
  readonly box: Box;
}

export class Topics {
  readonly #journal: Journal;
  readonly #limits: Config["limits"];
  readonly #mail: Mailboxes;
  #bus: Bus | undefined;
  /** What is subscribed to on the bus: `principal pattern`. */
  readonly #remote = new Map<string, BusSubscription>();

  constructor(journal: Journal, limits: Config["limits"], mail: Mailboxes) {
    this.#journal = journal;
    this.#limits = limits;
    this.#mail = mail;
  }

  /** Joins other kernels. Subscriptions that are there join too. */
  connect(bus: Bus): void {
    this.#bus = bus;
    this.settle();
  }

  /** EAGAIN: a subscription that refuses is full, or `all` must be reached and are not. */
  prepare(publication: Publication, scope: Scope): Prepared {
    const { principal, subject, body } = publication;
    const to = this.#subscribers(principal, (pattern) => matches(pattern, subject));
    const coming: Coming = new Map();
    const full = to.filter(({ box }) => !this.#fits(box, body, coming));
    const refuser = full.find(({ refuses }) => refuses);
    if (refuser) {
      const message = `${refuser.box.title} is full, and its subscriber misses nothing`;
      throw new ContixError("EAGAIN", message, { retryAfterUs: 100_000 });
    }
    this.#checkRemote(publication, scope);
    const { records, after } = this.#deliver(publication, to, { missed: 0, lapsed: false });
    return { delivered: to.length - full.length, missed: full.length, records, after };
  }

  /** Sends it to other kernels; false: they are not reached. EAGAIN: `all` must be, and the line is full. */
  sendOn(publication: Publication, scope: Scope): boolean {
    if (scope === "local" || !this.#bus?.up) return false;
    const { principal, from, subject, body } = publication;
    try {
      const wire = WireMail.encode({ from, body: Buffer.from(body) }).finish();
      this.#bus.publish(`${word(principal)}.${subject}`, wire);
      return true;
    } catch (error) {
      const full = error instanceof ContixError && error.code === "EAGAIN";
      if (full && scope !== "all") return false;
      throw error;
    }
  }

  /** Brings the subscriptions on the bus in line with those that are here. */
  settle(): void {
    if (!this.#bus) return;
    const wanted = new Set<string>();
    for (const [principal, patterns] of this.#journal.state.ipc.subscriptions) {
      for (const pattern of patterns.keys()) {
        wanted.add(`${pattern} ${principal}`);
        this.#follow(this.#bus, principal, pattern);
      }
    }
    for (const [key, subscription] of [...this.#remote]) {
      if (wanted.has(key)) continue;
      this.#remote.delete(key);
      subscription.close();
    }
  }

  #follow(bus: Bus, principal: string, pattern: string): void {
    const key = `${pattern} ${principal}`;
    if (this.#remote.has(key)) return;
    const subscription = bus.subscribe(`${word(principal)}.${pattern}`);
    this.#remote.set(key, subscription);
    void this.#listen(subscription, principal, pattern);
  }

  /** Each message that comes over the bus goes to the subscriptions with the very pattern. */
  async #listen(subscription: BusSubscription, principal: string, pattern: string): Promise<void> {
    for await (const { subject, body, missed, lapsed } of subscription) {
      const to = this.#subscribers(principal, (each) => each === pattern);
      const mail = decode(body);
      if (!mail) continue;
      const publication = { principal, subject: subject.slice(subject.indexOf(".") + 1), ...mail };
      const { records, after } = this.#deliver(publication, to, { missed, lapsed });
      this.#journal.append(...records);
      after();
    }
  }

  #deliver(
    { from, subject, body }: Publication,
    to: readonly Subscriber[],
    before: { readonly missed: number; readonly lapsed: boolean },
  ): Pick<Prepared, "records" | "after"> {
    const records: JournalRecord[] = [];
    const coming: Coming = new Map();
    let { mail: last } = this.#journal.state.counters;
    for (const { id, box } of to) {
      const ref = { id };
      const fits = this.#fits(box, body, coming);
      const missed = before.missed + (fits ? 0 : 1);
      if (missed > 0 || before.lapsed) {
        records.push({ type: "mail.missed", box: ref, missed, lapsed: before.lapsed });
      }
      if (!fits) continue;
      const mail = { id: makeId(this.#journal.node, ++last), from, topic: subject, body };
      records.push({ type: "mail.sent", box: ref, mail });
    }
    const after = (): void => {
      for (const { id } of to) this.#mail.offer({ id });
    };
    return { records, after };
  }

  #fits(box: Box, body: Uint8Array, coming: Coming): boolean {
    return hasRoom(this.#journal.state, box, body.length, this.#limits, coming);
  }

  #subscribers(principal: string, fits: (pattern: string) => boolean): Subscriber[] {
    const { state } = this.#journal;
    const found: Subscriber[] = [];
    for (const [pattern, ids] of state.ipc.subscriptions.get(principal) ?? []) {
      if (!fits(pattern)) continue;
      for (const id of ids) {
        const object = state.ipc.objects.get(id);
        const box = findBox(state, { id });
        if (object?.type !== "mailbox" || !box) continue;
        found.push({ id, box, refuses: object.subscription?.slow === "refuse" });
      }
    }
    return found;
  }

  #checkRemote({ body }: Publication, scope: Scope): void {
    if (scope === "local") return;
    const up = this.#bus?.up ?? false;
    if (scope === "all" && !up) {
      const message = "the other kernels can not be reached now";
      throw new ContixError("EAGAIN", message, { argument: "scope", retryAfterUs: 500_000 });
    }
    if (up) checkSize(body, (this.#bus?.maxBytes ?? 0) - ENVELOPE);
  }
}

/** A principal as one word of a subject, whatever is in its name. */
function word(principal: string): string {
  return Buffer.from(principal).toString("base64url") || "-";
}

/** Undefined: what came is no message of ours. */
function decode(bytes: Uint8Array): { from: bigint; body: Uint8Array } | undefined {
  try {
    return WireMail.decode(bytes);
  } catch {
    return undefined;
  }
}

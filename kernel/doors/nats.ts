/**
 * The NATS door: the ABI as subjects. It lives beside the rest: while NATS is down
 * its processes are detached, and whoever comes back in time goes on with his run.
 */
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { z } from "zod";
import { ContixError } from "../../proto/errno.js";
import { showId } from "../ids.js";
import { natsBus } from "../ipc/bus-nats.js";
import { type Kernel, NODE } from "../kernel.js";
import { type Accounts, AGENTS } from "../nats/accounts.js";
import { type Connection, Connections } from "../nats/connections.js";
import { Lines } from "../nats/lines.js";
import type { Authenticator } from "./authenticate.js";
import type { DoorBook } from "./books.js";
import { Debtors } from "./debtors.js";
import {
  type Allowed,
  type Asked,
  admission,
  denial,
  isOurs,
  readRequest,
  UNCUT_USER_S,
  USER_S,
} from "./nats-callout.js";
import { EventFeed } from "./nats-events.js";
import { hearingOf, mayEndHearing } from "./nats-hearing.js";
import { isOwnInbox, NatsSession } from "./nats-session.js";
import { auditHeads, HELLO, partsOf, requests } from "./nats-subjects.js";

/** Who connects and says nothing is cut after this, microseconds. */
const SILENT_US = 5_000_000;
/** Hellos that are looked at at once; more are denied, as the server would after its own patience. */
const MOST_ASKED = 256;

const Disconnected = z.object({
  server: z.object({ id: z.string() }),
  client: z.object({ id: z.number() }),
});

/** Doors that were closed last: what still comes from their clients is late, and no forgery. */
const MOST_CLOSED = 1024;

/** The first event of a door, and of one that is back. */
const UP = { principal: "", name: "nats.up", facts: {} };

export interface NatsDoorOptions {
  readonly url: string;
  /** PEM of the CA of the server's certificate; "" or missing: what Node trusts. */
  readonly ca?: string;
  readonly accounts: Accounts;
}

export class NatsDoor {
  readonly #kernel: Kernel;
  readonly #auth: Authenticator;
  readonly #accounts: Accounts;
  readonly #book: DoorBook;
  readonly #feed: EventFeed;
  readonly #debtors: Debtors;
  /** By door id. */
  readonly #sessions = new Map<string, NatsSession>();
  readonly #byConnection = new Map<string, NatsSession>();
  readonly #closed = new Set<string>();
  #lines: Lines | undefined;
  #connections: Connections | undefined;
  /** Sessions that were lost with the line: their clients may still be connected. */
  #stale: Connection[] = [];
  #asked = 0;
  #head: string | undefined;
  #rechecking = false;
  private constructor(kernel: Kernel, auth: Authenticator, accounts: Accounts) {
    this.#kernel = kernel;
    this.#auth = auth;
    this.#accounts = accounts;
    this.#book = kernel.doors.of("nats");
    this.#debtors = new Debtors(kernel);
    const publish = (subject: string, body: Uint8Array): boolean => this.publish(subject, body);
    const taken = async (): Promise<void> => this.#lines?.taken();
    this.#feed = new EventFeed({ publish, taken }, kernel.clock);
    kernel.queues.add("events", () => this.#feed.figures);
  }

  /** Opens the door. EIO without a server, EACCES when it does not know this kernel. */
  static async open(
    kernel: Kernel,
    auth: Authenticator,
    { url, ca = "", accounts }: NatsDoorOptions,
  ): Promise<NatsDoor> {
    const door = new NatsDoor(kernel, auth, accounts);
    const { log } = kernel;
    const lines = await Lines.open({ url, ca, accounts, log, onState: (up) => door.#state(up) });
    const [asking, agents, { system }] = [lines.line("auth"), lines.line("agents"), lines];
    door.#lines = lines;
    door.#connections = new Connections(system, log);
    const on = (line: NatsConnection, subject: string, act: (m: Msg) => void) =>
      line.subscribe(subject, {
        callback: (error, message) => {
          if (error) log.warn({ err: error.message, subject }, "NATS subscription");
          else act(message);
        },
      });
    on(agents, `${HELLO}.*`, (message) => door.#hello(message));
    on(agents, requests(), (message) => door.#request(message));
    if (system) on(system, `$SYS.ACCOUNT.${AGENTS}.DISCONNECT`, (message) => door.#gone(message));
    await Promise.all([agents.flush(), system?.flush()]);
    // Whoever was a kernel's that is no more would wait for ever: they come again.
    const swept = await door.#connections.sweep((user) => isOurs(user));
    if (swept > 0) log.info({ connections: swept }, "cut connections of a kernel before this one");
    on(asking, "$SYS.REQ.USER.AUTH", (message) => {
      // The line may close while a token is looked at: then there is nobody to answer.
      door.#ask(message).catch((error: Error) => {
        log.debug({ err: error.message }, "a NATS client had no answer");
      });
    });
    await asking.flush();
    // Messages reach the other kernels of the same NATS.
    const id = kernel.random.bytes(8).toString("hex");
    kernel.ipc.connect(kernel, natsBus(agents, { id }));
    kernel.events.listen((event) => door.#feed.hear(event));
    kernel.journal.watch((record) => {
      if (mayEndHearing(kernel.journal.state, record)) door.#recheckSoon();
    });
    door.#feed.hear(UP);
    return door;
  }

  get sessions(): number {
    return this.#sessions.size;
  }
  get up(): boolean {
    return this.#lines?.up ?? false;
  }

  /** Publishes to whoever may hear it. False: NATS is down, or does not take so much. */
  publish(subject: string, body: Uint8Array): boolean {
    const lines = this.#lines;
    return lines !== undefined && body.length <= lines.maxPayload && lines.publish(subject, body);
  }

  /** Publishes a head of the audit log; when NATS is down the last one is published when it is back. */
  head(line: string): void {
    this.#head = line;
    this.publish(auditHeads(), Buffer.from(line));
  }

  async close(): Promise<void> {
    for (const session of [...this.#sessions.values()]) session.lost();
    this.#kernel.ipc.close();
    await this.#lines?.close();
  }

  async #ask(message: Msg): Promise<void> {
    const { issuer } = this.#accounts;
    const now = Math.floor(this.#kernel.clock.wall() / 1000);
    let asked: Asked;
    try {
      asked = readRequest(message.string());
    } catch (error) {
      // Without an answer the server sends the stranger away when its patience ends.
      this.#kernel.log.debug({ err: error }, "a NATS client was not let in");
      return;
    }
    if (asked.node !== NODE) return;
    this.#book.accepted++;
    const refuse = (why: string): void => {
      this.#book.refused++;
      message.respond(denial(issuer, now, asked, why));
    };
    if (this.#asked >= MOST_ASKED) {
      this.#auth.denied(new ContixError("EAGAIN", `${MOST_ASKED} clients are being let in`));
      return refuse("EAGAIN");
    }
    if (this.#sessions.has(asked.door)) {
      this.#auth.denied(new ContixError("EACCES", `the door id ${asked.door} is in use`));
      return refuse("EACCES: the door id is in use");
    }
    this.#asked++;
    try {
      // After a restart of the server it might say hello before we hear it.
      await this.#lines?.listening();
      const session = this.#make(asked);
      await session.hello(asked.hello);
      const { refusal } = session;
      if (refusal === "EACCES") {
        this.#drop(session);
        return refuse(refusal);
      }
      message.respond(admission(issuer, now, asked, this.#allowed(session)));
    } finally {
      this.#asked--;
    }
  }

  /** What the client may say and hear. */
  #allowed(session: NatsSession): Allowed {
    const { door, pid } = session;
    const { subjects, until } = hearingOf(this.#kernel, pid);
    session.hears = subjects;
    const { clock } = this.#kernel;
    const left = until === undefined ? Infinity : Math.ceil((until - clock.now()) / 1e6);
    const cuts = this.#lines?.system !== undefined;
    const seconds = Math.max(1, Math.min(left, cuts ? USER_S : UNCUT_USER_S));
    // The server tells nobody that it sent this client away.
    if (!cuts) clock.after(seconds * 1e6, () => this.#loseNow(session));
    return { door, pid, events: subjects, seconds };
  }

  #make({ door, server, connection }: Asked): NatsSession {
    const lines = this.#lines;
    if (!lines) throw new ContixError("EIO", "the door is not open");
    const book = this.#book;
    const wire = {
      book,
      publish(subject: string, body: Uint8Array) {
        if (lines.publish(subject, body)) book.bytesOut += body.length;
      },
      get maxPayload() {
        return lines.maxPayload;
      },
      admit: (principal: string) => this.#debtors.check(principal),
      ended: (session: NatsSession) => this.#cut(session),
    };
    const at = { server, id: connection };
    const session = new NatsSession(this.#kernel, this.#auth, door, at, wire);
    this.#sessions.set(door, session);
    book.connections++;
    this.#byConnection.set(keyOf(at), session);
    this.#kernel.clock.after(SILENT_US, () => {
      if (this.#sessions.get(door) !== session || session.heard) return;
      session.lost();
      this.#cut(session);
    });
    return session;
  }

  #drop(session: NatsSession): void {
    if (this.#sessions.get(session.door) === session) {
      this.#sessions.delete(session.door);
      this.#book.connections--;
      this.#closed.add(session.door);
      const [oldest] = this.#closed;
      if (this.#closed.size > MOST_CLOSED && oldest !== undefined) this.#closed.delete(oldest);
    }
    const key = keyOf(session.connection);
    if (this.#byConnection.get(key) === session) this.#byConnection.delete(key);
  }

  /** Ends the session's connection, after what was published to it. */
  #cut(session: NatsSession): void {
    // Who was refused at the hello is still to read why.
    if (session.refusal !== undefined && this.#sessions.has(session.door)) return;
    this.#drop(session);
    const lines = this.#lines;
    if (!lines?.up) return;
    // The server has routed all before when it answers: then the kick can not overtake it.
    lines
      .line("agents")
      .flush()
      .then(() => this.#kick(session.connection))
      .catch(() => undefined);
  }

  /** Once for all records of this turn. */
  #recheckSoon(): void {
    if (this.#rechecking) return;
    this.#rechecking = true;
    setImmediate(() => {
      this.#rechecking = false;
      for (const session of [...this.#sessions.values()]) this.#recheck(session);
    });
  }

  /** A connection may hear what it might when it was made: whoever has less now comes again. */
  #recheck(session: NatsSession): void {
    const { subjects } = hearingOf(this.#kernel, session.pid);
    if (session.hears.every((subject) => subjects.includes(subject))) return;
    this.#loseNow(session);
    void this.#kick(session.connection);
  }

  async #kick(connection: Connection): Promise<void> {
    await this.#connections?.kick(connection);
  }

  /** Its connection is over, or will be. */
  #loseNow(session: NatsSession): void {
    this.#drop(session);
    session.lost();
  }

  #gone(message: Msg): void {
    const event = Disconnected.safeParse(message.json());
    if (!event.success) return;
    const { server, client } = event.data;
    const session = this.#byConnection.get(keyOf({ server: server.id, id: client.id }));
    if (!session) return;
    this.#loseNow(session);
  }

  #hello(message: Msg): void {
    const door = message.subject.slice(HELLO.length + 1);
    const session = this.#sessions.get(door);
    if (!session || this.#denyForeign(session, message)) return;
    session.greet(message.reply ?? "");
    if (session.refusal === undefined) return;
    this.#drop(session);
    this.#cut(session);
  }

  #request(message: Msg): void {
    const { door, kind, process } = partsOf(message.subject);
    this.#book.bytesIn += message.data.length;
    const session = this.#sessions.get(door);
    if (session?.pid === undefined || process !== showId(session.pid)) {
      // A session that ended: its client hears so when it is cut.
      if (session || !this.#closed.has(door)) {
        this.#denied(`${process} at the door ${door}: no such process came by it`, session);
      }
      return;
    }
    if (message.reply && this.#denyForeign(session, message)) return;
    session.receive(kind, message.data, message.reply ?? "");
  }

  /**
   * The confused deputy: the server lets a client name any reply subject, and we would publish
   * there. Such a message is a fault like one that says nothing, and denied in its turn.
   * @returns whether it was one
   */
  #denyForeign(session: NatsSession, { reply = "", data }: Msg): boolean {
    if (isOwnInbox(session.door, reply)) return false;
    session.deny(data.length, () => {
      this.#kernel.log.warn({ reply }, "a reply subject that is not the client's own");
      return this.#denied("the reply subject is not in your own inbox", session);
    });
    return true;
  }

  /** Counts and audits a message that was not its sender's to send. */
  #denied(why: string, session: NatsSession | undefined): ContixError {
    this.#book.denied++;
    const error = new ContixError("EPERM", why);
    this.#auth.denied(error, "nats", session?.pid);
    return error;
  }

  #state(up: boolean): void {
    const { log } = this.#kernel;
    if (up) {
      log.info({}, "NATS is back");
      this.#feed.hear(UP);
      if (this.#head !== undefined) this.head(this.#head);
      // On a server that went on, their clients are still connected, and must come again.
      for (const connection of this.#stale.splice(0)) void this.#kick(connection);
      return;
    }
    log.warn({ sessions: this.#sessions.size }, "NATS is gone; its processes are detached");
    for (const session of [...this.#sessions.values()]) {
      this.#stale.push(session.connection);
      this.#loseNow(session);
    }
  }
}

function keyOf({ server, id }: Connection): string {
  return `${server}/${id}`;
}

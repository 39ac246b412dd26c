/**
 * The gate before the gRPC door: who has not said who he is may do little, and not
 * for long. A connection is a stranger's unless an attachment or a call on it is
 * authenticated. A stranger's has a few seconds and a few kilobytes; there are only
 * so many strangers, and the oldest makes room for the next, so that a flood of
 * silent connections neither fills the kernel nor keeps an honest client out, whose
 * hello takes milliseconds.
 *
 * A team that starts at once is a crowd of strangers too: a busy kernel accepts hundreds
 * before it has read the first one's hello. So room is made in two steps. Beyond
 * `strangers` those go that had their chance: the kernel has looked at its sockets many
 * times since they came, and they have still not said who they are. Only beyond `crowd`
 * the oldest goes at once.
 *
 * A key opens as many connections as its owner likes, but processes are counted. So a
 * connection is known only while a process lives by it; after that it is idle, for a while,
 * and the oldest of too many idle ones goes. Then nobody's key fills the door for all
 * others: what is known is bounded by the processes there may be, the rest by two crowds.
 * When all of its keys are revoked, a connection ends with the last process on it.
 */
import type { Socket } from "node:net";
import type { Clock } from "../clock.js";
import type { DoorBook } from "./books.js";

export interface GateLimits {
  /** Connections in all; more are closed at once. */
  readonly connections: number;
  /** Of them, kept for the Unix socket: by it the operator comes who takes a key away. */
  readonly reserve: number;
  /** Of them, strangers who had time to say who they are. */
  readonly strangers: number;
  /** Strangers in all; and idle ones in all. */
  readonly crowd: number;
  /** How long one may stay a stranger, microseconds. */
  readonly strangerUs: number;
  /** How long one that was known may do nothing, microseconds. */
  readonly idleUs: number;
  /** What a stranger may send, bytes: a hello, a call with its token, a question about health. */
  readonly strangerBytes: number;
}

export const GATE_LIMITS: GateLimits = {
  connections: 4096,
  reserve: 64,
  strangers: 256,
  crowd: 1024,
  strangerUs: 10_000_000,
  idleUs: 60_000_000,
  strangerBytes: 256 * 1024,
};

/** How long what was said last to a connection whose key is revoked may take to arrive, microseconds. */
const BYE_US = 500_000;
/** How often strangers are looked at, microseconds: HTTP/2 reads its sockets without telling. */
const LOOK_US = 20_000;
/**
 * Looks after which a stranger had his chance: a second, or longer where the kernel is busy,
 * because between two looks it reads its sockets at least once, however long that takes.
 */
const CHANCES = 50;

interface Connection {
  readonly name: string;
  readonly socket: Socket;
  readonly book: DoorBook;
  /** Attachments and calls on it that were authenticated and are under way. */
  uses: number;
  /** By which keys they came. */
  readonly keys: Set<string>;
  /** Somebody has said who he is. */
  met: boolean;
  /** All of its keys were revoked. */
  voided: boolean;
}

interface Stranger {
  readonly connection: Connection;
  /** When it is closed, on the clock. */
  readonly until: number;
  /** What it may send until then, bytes. */
  readonly bytes: number;
  looks: number;
}

export class Gate {
  readonly #clock: Clock;
  readonly #limits: GateLimits;
  /** In the order in which they came. */
  readonly #strangers = new Map<Connection, Stranger>();
  /** Those that were known and by which nobody lives, in the order in which they became so. */
  readonly #idle = new Map<Connection, Stranger>();
  /**
   * Connections by what gRPC calls their peers. A port may be used again before its last
   * connection was seen to end: then the name is the new one's.
   */
  readonly #names = new Map<string, Connection>();
  readonly #connections = new Set<Connection>();
  #looking = false;
  #unnamed = 0;

  constructor(clock: Clock, limits: GateLimits = GATE_LIMITS) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get connections(): number {
    return this.#connections.size;
  }
  get strangers(): number {
    return this.#strangers.size;
  }

  /** Lets a new connection in as a stranger's, and books it. False: it was closed. */
  enter(socket: Socket, book: DoorBook): boolean {
    book.accepted++;
    book.underWay = () => this.#underWay(book);
    const { connections, reserve, strangerUs, strangerBytes } = this.#limits;
    const places = book.door === "unix" ? connections : connections - reserve;
    if (this.#connections.size >= places) {
      refuse({ socket, book, met: false });
      return false;
    }
    const name = this.#nameOf(socket);
    const connection = {
      ...{ name, socket, book, uses: 0, keys: new Set<string>() },
      ...{ met: false, voided: false },
    };
    this.#forget(this.#names.get(name));
    this.#connections.add(connection);
    this.#names.set(name, connection);
    book.connections++;
    socket.once("close", () => this.#over(connection));
    socket.on("error", () => undefined);
    book.strangers++;
    this.#estrange(this.#strangers, connection, strangerUs, strangerBytes);
    return true;
  }

  /**
   * A process lives by the connection whose peer gRPC calls so; it came by that key, "" for
   * none. @returns what is to be called once it does no more
   */
  known(peer: string, key: string): () => void {
    const connection = this.#names.get(peer);
    if (!connection) return () => undefined;
    this.#forget(connection);
    connection.uses++;
    connection.keys.add(key);
    connection.met = true;
    connection.voided = false;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#left(connection);
    };
  }

  /** The key opens nothing any more: connections that were opened by it alone have had their time. */
  revoked(key: string): void {
    for (const connection of this.#connections) {
      if (!connection.keys.delete(key) || connection.keys.size > 0) continue;
      connection.voided = true;
      // What goes on is told why it ends, and then the connection does.
      if (connection.uses === 0) connection.socket.destroy();
    }
  }

  /** The books of the door through which that peer came; undefined: it is gone. */
  doorOf(peer: string): DoorBook | undefined {
    return this.#names.get(peer)?.book;
  }

  /** Closes every connection. */
  close(): void {
    for (const { socket } of this.#connections) socket.destroy();
  }

  #left(connection: Connection): void {
    connection.uses--;
    if (connection.uses > 0 || !this.#connections.has(connection)) return;
    // It has shown a key, so it may send as much as a message may have.
    const us = connection.voided ? BYE_US : this.#limits.idleUs;
    this.#estrange(this.#idle, connection, us, Infinity);
  }

  #estrange(to: Map<Connection, Stranger>, connection: Connection, us: number, bytes: number) {
    to.set(connection, { connection, until: this.#clock.now() + us, bytes, looks: 0 });
    const [oldest] = to.keys();
    if (to.size > this.#limits.crowd && oldest) refuse(oldest);
    this.#look();
  }

  /** It is no stranger's any more. */
  #forget(connection: Connection | undefined): void {
    if (!connection) return;
    this.#idle.delete(connection);
    if (this.#strangers.delete(connection)) connection.book.strangers--;
  }

  #over(connection: Connection): void {
    const { name, socket, book } = connection;
    this.#connections.delete(connection);
    this.#forget(connection);
    if (this.#names.get(name) === connection) this.#names.delete(name);
    book.connections--;
    book.bytesIn += socket.bytesRead;
    book.bytesOut += socket.bytesWritten;
  }

  #underWay(book: DoorBook): readonly [number, number] {
    let [came, went] = [0, 0];
    for (const { socket, book: its } of this.#connections) {
      if (its !== book) continue;
      came += socket.bytesRead;
      went += socket.bytesWritten;
    }
    return [came, went];
  }

  /** A Unix socket's peer has no address: it gets one, by which gRPC names it to its handlers. */
  #nameOf(socket: Socket): string {
    if (socket.remoteAddress === undefined) {
      Object.defineProperty(socket, "remoteAddress", { value: "unix" });
      Object.defineProperty(socket, "remotePort", { value: ++this.#unnamed });
    }
    return `${socket.remoteAddress}:${socket.remotePort}`;
  }

  #look(): void {
    if (this.#looking || this.#strangers.size + this.#idle.size === 0) return;
    this.#looking = true;
    this.#clock.after(LOOK_US, () => {
      this.#looking = false;
      const now = this.#clock.now();
      let tooMany = this.#strangers.size - this.#limits.strangers;
      for (const one of [...this.#strangers.values()]) {
        const { connection, until, bytes } = one;
        const makesRoom = ++one.looks > CHANCES && tooMany-- > 0;
        if (makesRoom || until <= now || connection.socket.bytesRead > bytes) refuse(connection);
      }
      for (const { connection, until } of [...this.#idle.values()]) {
        if (until <= now) refuse(connection);
      }
      this.#look();
    });
  }
}

/** Closes a connection; who has never said who he is was refused. */
function refuse({ socket, book, met }: Pick<Connection, "socket" | "book" | "met">): void {
  if (!met) book.refused++;
  socket.destroy();
}

/**
 * The gate before the gRPC door: who has not said who he is may do little, and not
 * for long. A connection is a stranger's until an attachment or a call on it was
 * authenticated. Until then it has a few seconds and a few kilobytes; there are only
 * so many strangers, and the oldest makes room for the next, so that a flood of
 * silent connections neither fills the kernel nor keeps an honest client out, whose
 * hello takes milliseconds.
 *
 * A team that starts at once is a crowd of strangers too: a busy kernel accepts hundreds
 * before it has read the first one's hello. So room is made in two steps. Beyond
 * `strangers` those go that had their chance: the kernel has looked at its sockets many
 * times since they came, and they have still not said who they are. Only beyond `crowd`
 * the oldest goes at once.
 */
import type { Socket } from "node:net";
import type { Clock } from "../clock.js";
import type { DoorBook } from "./books.js";

export interface GateLimits {
  /** Connections in all; more are closed at once. */
  readonly connections: number;
  /** Of them, strangers who had time to say who they are. */
  readonly strangers: number;
  /** Strangers in all. */
  readonly crowd: number;
  /** How long one may stay a stranger, microseconds. */
  readonly strangerUs: number;
  /** What a stranger may send, bytes: a hello, a call with its token, a question about health. */
  readonly strangerBytes: number;
}

export const GATE_LIMITS: GateLimits = {
  connections: 4096,
  strangers: 256,
  crowd: 1024,
  strangerUs: 10_000_000,
  strangerBytes: 256 * 1024,
};

/** How often strangers are looked at, microseconds: HTTP/2 reads its sockets without telling. */
const LOOK_US = 20_000;
/**
 * Looks after which a stranger had his chance: a second, or longer where the kernel is busy,
 * because between two looks it reads its sockets at least once, however long that takes.
 */
const CHANCES = 50;

interface Stranger {
  readonly socket: Socket;
  readonly book: DoorBook;
  readonly since: number;
  looks: number;
}

export class Gate {
  readonly #clock: Clock;
  readonly #limits: GateLimits;
  /** In the order in which they came. */
  readonly #strangers = new Map<string, Stranger>();
  readonly #sockets = new Map<Socket, DoorBook>();
  /**
   * Connections by what gRPC calls their peers. A port may be used again before its last
   * connection was seen to end: then the name is the new one's.
   */
  readonly #names = new Map<string, Socket>();
  #looking = false;
  #unnamed = 0;

  constructor(clock: Clock, limits: GateLimits = GATE_LIMITS) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get connections(): number {
    return this.#sockets.size;
  }
  get strangers(): number {
    return this.#strangers.size;
  }

  /** Lets a new connection in as a stranger's, and books it. False: it was closed. */
  enter(socket: Socket, book: DoorBook): boolean {
    book.accepted++;
    book.underWay = () => this.#underWay(book);
    if (this.#sockets.size >= this.#limits.connections) {
      refuse({ socket, book });
      return false;
    }
    const name = this.#nameOf(socket);
    this.#sockets.set(socket, book);
    this.known(name);
    this.#names.set(name, socket);
    this.#strangers.set(name, { socket, book, since: this.#clock.now(), looks: 0 });
    book.connections++;
    book.strangers++;
    socket.once("close", () => this.#over(name, socket, book));
    socket.on("error", () => undefined);
    const [oldest] = this.#strangers.values();
    if (this.#strangers.size > this.#limits.crowd && oldest) refuse(oldest);
    this.#look();
    return true;
  }

  /** The connection whose peer gRPC calls so is no stranger's any more. */
  known(peer: string): void {
    const stranger = this.#strangers.get(peer);
    if (stranger && this.#strangers.delete(peer)) stranger.book.strangers--;
  }

  /** The books of the door through which that peer came; undefined: it is gone. */
  doorOf(peer: string): DoorBook | undefined {
    const socket = this.#names.get(peer);
    return socket && this.#sockets.get(socket);
  }

  /** Closes every connection. */
  close(): void {
    for (const socket of this.#sockets.keys()) socket.destroy();
  }

  #over(name: string, socket: Socket, book: DoorBook): void {
    this.#sockets.delete(socket);
    if (this.#names.get(name) === socket) {
      this.#names.delete(name);
      this.known(name);
    }
    book.connections--;
    book.bytesIn += socket.bytesRead;
    book.bytesOut += socket.bytesWritten;
  }

  #underWay(book: DoorBook): readonly [number, number] {
    let [came, went] = [0, 0];
    for (const [socket, its] of this.#sockets) {
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
    if (this.#looking || this.#strangers.size === 0) return;
    this.#looking = true;
    this.#clock.after(LOOK_US, () => {
      this.#looking = false;
      const { strangers, strangerUs, strangerBytes } = this.#limits;
      const oldest = this.#clock.now() - strangerUs;
      let tooMany = this.#strangers.size - strangers;
      for (const one of [...this.#strangers.values()]) {
        const makesRoom = ++one.looks > CHANCES && tooMany-- > 0;
        const { socket, since } = one;
        if (makesRoom || since <= oldest || socket.bytesRead > strangerBytes) refuse(one);
      }
      this.#look();
    });
  }
}

function refuse({ socket, book }: Pick<Stranger, "socket" | "book">): void {
  book.refused++;
  socket.destroy();
}

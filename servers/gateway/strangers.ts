/**
 * Connections that no key speaks for at the moment: strangers', on which nothing good was
 * asked yet, and idle ones, whose last answer is out. There is room for so many of each;
 * then the one that has been there longest goes, so that whoever only holds connections
 * open, with a key or without, keeps nobody else out. What is being answered to a good key
 * is not touched, and a flood without a key does not cost others their kept connections.
 */
import type { Socket } from "node:net";

/** A connection's socket, or what speaks TLS over it. */
export type Peer = Pick<Socket, "remoteAddress" | "remotePort">;

interface Connection {
  readonly socket: Socket;
  /** Answers to good keys that are under way. */
  answers: number;
}

export class Strangers {
  readonly #most: number;
  /** By address and port, which a TLS socket has of the one below it. */
  readonly #connections = new Map<string, Connection>();
  /** In the order in which they came. */
  readonly #strangers = new Set<Connection>();
  /** In the order in which they became so. */
  readonly #idle = new Set<Connection>();
  /** Connections that made room. */
  cut = 0;

  /** @param most strangers at once, and idle ones */
  constructor(most: number) {
    this.#most = most;
  }

  /** A connection came; over TLS it has shaken no hands yet. */
  enter(socket: Socket): void {
    const name = nameOf(socket);
    const connection = { socket, answers: 0 };
    this.#connections.set(name, connection);
    socket.once("close", () => {
      this.#forget(connection);
      // The port may be another connection's already.
      if (this.#connections.get(name) === connection) this.#connections.delete(name);
    });
    this.#add(this.#strangers, connection);
  }

  /** The kernel knows the key of a request of that peer. @returns what is to be called when that is answered */
  known(peer: Peer): () => void {
    const connection = this.#connections.get(nameOf(peer));
    if (!connection) return () => undefined;
    connection.answers++;
    this.#forget(connection);
    return () => {
      connection.answers--;
      if (connection.answers === 0 && !connection.socket.destroyed) {
        this.#add(this.#idle, connection);
      }
    };
  }

  #forget(connection: Connection): void {
    this.#strangers.delete(connection);
    this.#idle.delete(connection);
  }

  #add(to: Set<Connection>, connection: Connection): void {
    to.add(connection);
    const [oldest] = to;
    if (to.size <= this.#most || oldest === undefined) return;
    this.cut++;
    to.delete(oldest);
    oldest.socket.destroy();
  }
}

function nameOf({ remoteAddress, remotePort }: Peer): string {
  return `${remoteAddress}:${remotePort}`;
}

/** A TCP proxy that can be slow, both ways, and cut its connections wherever they are. */
import { once } from "node:events";
import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";

export interface Pace {
  readonly latencyMs: number;
  /** In each direction of each connection. */
  readonly bytesPerSecond: number;
}

export interface SlowProxy extends AsyncDisposable {
  readonly port: number;
  /** Bytes that came and were not passed on yet. */
  readonly held: number;
  /** From now on; undefined: as fast as it goes. */
  pace(pace: Pace | undefined): void;
  /** Closes all connections, with what is under way in them. */
  cut(): void;
}

/** How often a slow connection passes something on, milliseconds. */
const TICK_MS = 50;
/** What a connection takes in before it reads no more: so its peer finds its own buffers full. */
const MOST_HELD = 64 * 1024;

/** Starts one before a port of this machine. */
export async function slowProxy(to: number): Promise<SlowProxy> {
  let pace: Pace | undefined;
  const ways = new Set<Way>();
  const server = createServer((client) => {
    const behind = createConnection(to, "127.0.0.1");
    const both = [new Way(client, behind), new Way(behind, client)];
    for (const way of both) {
      way.pace(pace);
      ways.add(way);
    }
    const over = (): void => {
      for (const way of both) {
        ways.delete(way);
        way.end();
      }
    };
    for (const socket of [client, behind]) socket.on("error", over).on("close", over);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    for (const way of [...ways]) way.end();
  };
  return {
    port: (server.address() as AddressInfo).port,
    get held() {
      return [...ways].reduce((sum, way) => sum + way.held, 0);
    },
    pace(next) {
      pace = next;
      for (const way of ways) way.pace(next);
    },
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}

/** One direction of a connection. */
class Way {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #waiting: { readonly at: number; bytes: Buffer }[] = [];
  #pace: Pace | undefined;
  #timer: NodeJS.Timeout | undefined;
  held = 0;

  constructor(from: Socket, to: Socket) {
    this.#from = from;
    this.#to = to;
    from.setNoDelay(true);
    from.on("data", (bytes) => this.#take(bytes));
  }

  pace(pace: Pace | undefined): void {
    this.#pace = pace;
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (pace) this.#timer = setInterval(() => this.#trickle(pace), TICK_MS);
    else this.#pass(Infinity, Infinity);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#from.destroy();
    this.#to.destroy();
  }

  #take(bytes: Buffer): void {
    this.#waiting.push({ at: performance.now(), bytes });
    this.held += bytes.length;
    if (!this.#pace) this.#pass(Infinity, Infinity);
    else if (this.held > MOST_HELD) this.#from.pause();
  }

  #trickle({ latencyMs, bytesPerSecond }: Pace): void {
    const share = Math.ceil((bytesPerSecond * TICK_MS) / 1000);
    this.#pass(share, performance.now() - latencyMs);
  }

  /** Passes on at most so many bytes that came before `since`, also a part of a frame. */
  #pass(most: number, since: number): void {
    let left = most;
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      if (left <= 0 || first.at > since) break;
      const part = first.bytes.subarray(0, left);
      first.bytes = first.bytes.subarray(part.length);
      if (first.bytes.length === 0) this.#waiting.shift();
      left -= part.length;
      this.held -= part.length;
      this.#to.write(part);
    }
    if (this.held <= MOST_HELD) this.#from.resume();
  }
}

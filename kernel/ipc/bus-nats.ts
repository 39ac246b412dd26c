/**
 * The bus over NATS subjects. A publication of subject S by the bus with id I goes to
 * `<prefix>.pub.I.S`: so each bus knows its own, and NATS keeps the order of one
 * connection. A request to S goes to `<prefix>.req.S`, where one of a queue group answers:
 * a byte 0 and the body, or a byte 1 and an Error of the ABI.
 *
 * Nothing is held back for a line that is down: the client's buffer would grow without
 * bound, and late news is worse than a refusal. What was written and not yet
 * acknowledged by the server (a PING after it) is bounded too.
 */
import { errors, type Msg, type NatsConnection, type Subscription } from "@nats-io/transport-node";
import { ContixError, fromWire, toWire } from "../../proto/errno.js";
import { Error as WireError } from "../../proto/gen/contix/v1/errno.js";
import { type Bus, busDown, checkSize, QUEUE_BOUNDS, type QueueBounds } from "./bus.js";
import { BusQueue } from "./bus-queue.js";

/** Bytes that may be under way to the server. */
const MOST_UNDER_WAY = 16 << 20;
/** What a message of NATS takes besides its body, at least, counted into what is under way. */
const OVERHEAD = 256;

export interface NatsBusOptions {
  /** Names this kernel on the line: one word. */
  readonly id: string;
  /** Under which all subjects of the bus are. */
  readonly prefix?: string;
  /** Hears when the line is cut and when it is back. */
  readonly onState?: (up: boolean) => void;
}

/** Makes a bus of a connection that reconnects by itself. Closing the bus leaves it open. */
export function natsBus(connection: NatsConnection, options: NatsBusOptions): Bus {
  return new NatsBus(connection, options);
}

class NatsBus implements Bus {
  readonly #nc: NatsConnection;
  readonly #id: string;
  readonly #prefix: string;
  readonly #onState: (up: boolean) => void;
  readonly #queues = new Map<BusQueue, Subscription>();
  readonly #served = new Set<Subscription>();
  /** Flushes that wait, to be told when the line is cut. */
  readonly #cuts = new Set<() => void>();
  #connected: boolean;
  #closed = false;
  #underWay = 0;
  #flushing: Promise<void> | undefined;

  constructor(
    nc: NatsConnection,
    { id, prefix = "contix.bus", onState = () => {} }: NatsBusOptions,
  ) {
    this.#nc = nc;
    this.#id = id;
    this.#prefix = prefix;
    this.#onState = onState;
    this.#connected = !nc.isClosed();
    void this.#watch();
  }

  get up(): boolean {
    return this.#connected && !this.#closed && !this.#nc.isClosed();
  }

  get maxBytes(): number {
    // A reply has a byte before its body.
    return (this.#nc.info?.max_payload ?? 1 << 20) - 1;
  }

  publish(subject: string, body: Uint8Array): void {
    this.#check(body);
    this.#nc.publish(`${this.#prefix}.pub.${this.#id}.${subject}`, body);
    this.#underWay += body.length + OVERHEAD;
    this.#flushing ??= this.#drain();
  }

  subscribe(pattern: string, bounds: QueueBounds = QUEUE_BOUNDS): BusQueue {
    const queue = new BusQueue(bounds, () => {
      this.#queues.get(queue)?.unsubscribe();
      this.#queues.delete(queue);
    });
    const own = `${this.#prefix}.pub.${this.#id}.`;
    const head = `${this.#prefix}.pub.`.length;
    const callback = (error: Error | null, { subject, data }: Msg): void => {
      if (error || subject.startsWith(own)) return;
      queue.push(subject.slice(subject.indexOf(".", head) + 1), data);
    };
    const subscription = this.#nc.subscribe(`${this.#prefix}.pub.*.${pattern}`, { callback });
    this.#queues.set(queue, subscription);
    return queue;
  }

  serve(subject: string, answer: (body: Uint8Array) => Promise<Uint8Array>): () => void {
    const callback = (error: Error | null, message: Msg): void => {
      if (!error) void reply(message, answer);
    };
    const where = `${this.#prefix}.req.${subject}`;
    const subscription = this.#nc.subscribe(where, { queue: "contix", callback });
    this.#served.add(subscription);
    return () => {
      subscription.unsubscribe();
      this.#served.delete(subscription);
    };
  }

  async request(subject: string, body: Uint8Array, timeoutUs: number): Promise<Uint8Array> {
    this.#check(body);
    const timeout = Math.max(1, Math.ceil(timeoutUs / 1000));
    let message: Msg;
    try {
      message = await this.#nc.request(`${this.#prefix}.req.${subject}`, body, { timeout });
    } catch (error) {
      throw requestError(error, subject, timeout);
    }
    const [failed] = message.data;
    const answer = message.data.subarray(1);
    if (failed === 1) throw fromWire(WireError.decode(answer));
    return answer;
  }

  async flush(): Promise<void> {
    if (!this.up) throw busDown();
    let heard = (): void => {};
    // A line that is cut meanwhile never answers; #lost tells of it.
    const cut = new Promise<never>((_, reject) => {
      heard = () => reject(busDown());
      this.#cuts.add(heard);
    });
    try {
      await Promise.race([this.#nc.flush(), cut]);
    } finally {
      this.#cuts.delete(heard);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const queue of [...this.#queues.keys()]) queue.close();
    for (const subscription of this.#served) subscription.unsubscribe();
    this.#served.clear();
    for (const fail of this.#cuts) fail();
  }

  /** What was written when it begins has reached the server when it ends. */
  async #drain(): Promise<void> {
    while (this.#underWay > 0 && this.up) {
      // What is written in this turn of the loop goes with the same PING.
      await new Promise<void>((resolve) => setImmediate(resolve));
      const sent = this.#underWay;
      try {
        await this.flush();
      } catch {
        break;
      }
      this.#underWay -= sent;
    }
    this.#flushing = undefined;
    if (!this.up) this.#underWay = 0;
  }

  #check(body: Uint8Array): void {
    if (!this.up) throw busDown();
    checkSize(body, this.maxBytes);
    if (this.#underWay + body.length > MOST_UNDER_WAY) throw busDown();
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.#nc.status()) {
      if (this.#closed) return;
      if (type === "disconnect" || type === "staleConnection" || type === "close") this.#lost();
      else if (type === "reconnect" && !this.#connected) {
        this.#connected = true;
        this.#onState(true);
      }
    }
  }

  #lost(): void {
    if (!this.#connected) return;
    this.#connected = false;
    for (const queue of this.#queues.keys()) queue.lapse();
    for (const fail of [...this.#cuts]) fail();
    this.#onState(false);
  }
}

async function reply(
  message: Msg,
  answer: (body: Uint8Array) => Promise<Uint8Array>,
): Promise<void> {
  try {
    const body = await answer(message.data);
    message.respond(Buffer.concat([Buffer.of(0), body]));
  } catch (error) {
    message.respond(Buffer.concat([Buffer.of(1), WireError.encode(toWire(error)).finish()]));
  }
}

function requestError(error: unknown, subject: string, timeout: number): unknown {
  const cause = error instanceof errors.RequestError ? (error.cause ?? error) : error;
  if (cause instanceof errors.NoRespondersError) {
    return new ContixError("ESRCH", `nobody answers ${subject}`);
  }
  if (cause instanceof errors.TimeoutError) {
    return new ContixError("ETIMEDOUT", `no answer from ${subject} within ${timeout} ms`);
  }
  return busDown();
}

/** A bus in memory: for kernels in one process, in tests and in the simulator. */
import { ContixError, fromWire, toWire } from "../../proto/errno.js";
import type { Clock } from "../clock.js";
import { type Bus, busDown, checkSize, QUEUE_BOUNDS, type QueueBounds } from "./bus.js";
import { BusQueue } from "./bus-queue.js";
import { matches } from "./subjects.js";

type Answer = (body: Uint8Array) => Promise<Uint8Array>;

/** The line between the buses that `join` it. It can be cut and mended. */
export class MemoryLine {
  readonly #members = new Set<MemoryBus>();
  readonly clock: Clock;
  readonly maxBytes: number;
  #up = true;

  constructor(clock: Clock, maxBytes = 1 << 20) {
    this.clock = clock;
    this.maxBytes = maxBytes;
  }

  get up(): boolean {
    return this.#up;
  }

  join(): Bus {
    const bus = new MemoryBus(this);
    this.#members.add(bus);
    return bus;
  }

  cut(): void {
    this.#up = false;
    for (const member of this.#members) member.lapse();
  }
  mend(): void {
    this.#up = true;
  }

  /** Hands a publication to all but who made it. */
  spread(from: Bus, subject: string, body: Uint8Array): void {
    for (const member of this.#members) if (member !== from) member.take(subject, body);
  }

  /** Who answers: the first that serves it. */
  server(subject: string): Answer | undefined {
    for (const member of this.#members) {
      const answer = member.served.get(subject);
      if (answer) return answer;
    }
    return undefined;
  }

  leave(bus: MemoryBus): void {
    this.#members.delete(bus);
  }
}

class MemoryBus implements Bus {
  readonly #line: MemoryLine;
  readonly #queues = new Map<BusQueue, string>();
  readonly served = new Map<string, Answer>();
  #closed = false;

  constructor(line: MemoryLine) {
    this.#line = line;
  }

  get up(): boolean {
    return this.#line.up && !this.#closed;
  }
  get maxBytes(): number {
    return this.#line.maxBytes;
  }

  publish(subject: string, body: Uint8Array): void {
    this.#check(body);
    // A copy: what the publisher does with its buffer then is nobody else's matter.
    this.#line.spread(this, subject, Uint8Array.from(body));
  }

  subscribe(pattern: string, bounds: QueueBounds = QUEUE_BOUNDS): BusQueue {
    const queue = new BusQueue(bounds, () => this.#queues.delete(queue));
    this.#queues.set(queue, pattern);
    return queue;
  }

  serve(subject: string, answer: Answer): () => void {
    this.served.set(subject, answer);
    return () => void this.served.delete(subject);
  }

  async request(subject: string, body: Uint8Array, timeoutUs: number): Promise<Uint8Array> {
    this.#check(body);
    const answer = this.#line.server(subject);
    if (!answer) throw new ContixError("ESRCH", `nobody answers ${subject}`);
    let cancel = (): void => {};
    const late = new Promise<never>((_, reject) => {
      const message = `no answer from ${subject} within ${timeoutUs / 1000} ms`;
      const expired = (): void => reject(new ContixError("ETIMEDOUT", message));
      cancel = this.#line.clock.after(timeoutUs, expired);
    });
    try {
      return await Promise.race([answer(Uint8Array.from(body)), late]);
    } catch (error) {
      // As it would come over a wire: what is not typed keeps its inside to itself.
      throw fromWire(toWire(error));
    } finally {
      cancel();
    }
  }

  async flush(): Promise<void> {
    if (!this.up) throw busDown();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const queue of [...this.#queues.keys()]) queue.close();
    this.served.clear();
    this.#line.leave(this);
  }

  take(subject: string, body: Uint8Array): void {
    for (const [queue, pattern] of this.#queues) {
      if (matches(pattern, subject)) queue.push(subject, body);
    }
  }
  lapse(): void {
    for (const queue of this.#queues.keys()) queue.lapse();
  }

  #check(body: Uint8Array): void {
    checkSize(body, this.maxBytes);
    if (!this.up) throw busDown();
  }
}

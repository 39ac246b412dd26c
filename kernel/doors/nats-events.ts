/**
 * The kernel's events as NATS messages: JSON on `ctx.events.<node>.<who>.<noun>.<verb>`.
 *
 *   {"at": wall ms, "node": "n1", "seq": 7, "missed": 0, "event": "process.over",
 *    "principal": "alice", …facts}
 *
 * At most once. Events wait while the server takes what was published before them, so
 * many and no more; what finds no room, or the server gone, is left out, and the next
 * message to the same principal says how many. `seq` counts a principal's events, those
 * left out too: a gap without `missed` was lost on the way.
 */
import type { Clock } from "../clock.js";
import type { KernelEvent } from "../events/event.js";
import { NODE } from "../kernel.js";
import { eventSubject } from "./nats-subjects.js";

/** Events that wait at most. */
const MOST_WAITING = 4096;

export interface EventLine {
  /** False: the server is not there, or the message is too long. */
  publish(subject: string, body: Uint8Array): boolean;
  /** Resolves when the server has taken what was published, or is gone. */
  taken(): Promise<void>;
}

interface Told extends KernelEvent {
  readonly at: number;
  readonly seq: number;
}

export class EventFeed {
  readonly #line: EventLine;
  readonly #clock: Clock;
  #waiting: Told[] = [];
  #working = false;
  /** By principal: its last number, and how many were left out since the last message. */
  readonly #counts = new Map<string, { seq: number; missed: number }>();
  /** Left out, in all. */
  #dropped = 0;

  constructor(line: EventLine, clock: Clock) {
    this.#line = line;
    this.#clock = clock;
  }

  /** Those that wait, and those that nobody could be told of. */
  get figures() {
    return { length: this.#waiting.length, limit: MOST_WAITING, lost: this.#dropped };
  }

  hear(event: KernelEvent): void {
    const counts = this.#countsOf(event.principal);
    const seq = ++counts.seq;
    if (this.#waiting.length >= MOST_WAITING) {
      this.#drop(event.principal);
      return;
    }
    this.#waiting.push({ ...event, at: this.#clock.wall(), seq });
    if (this.#working) return;
    this.#working = true;
    void this.#work();
  }

  async #work(): Promise<void> {
    // A call that makes an event is answered first.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      for (const event of this.#waiting.splice(0)) this.#publish(event);
      await this.#line.taken();
    }
    this.#working = false;
  }

  #publish({ principal, name, facts, at, seq }: Told): void {
    const counts = this.#countsOf(principal);
    const { missed } = counts;
    const head = { at, node: `n${NODE}`, seq, missed, event: name };
    const whose = principal === "" ? {} : { principal };
    const body = Buffer.from(JSON.stringify({ ...head, ...whose, ...facts }));
    if (this.#line.publish(eventSubject(principal, name), body)) counts.missed -= missed;
    else this.#drop(principal);
    if (name === "principal.removed") this.#counts.delete(principal);
  }

  #drop(principal: string): void {
    this.#dropped++;
    this.#countsOf(principal).missed++;
  }

  #countsOf(principal: string): { seq: number; missed: number } {
    const known = this.#counts.get(principal) ?? { seq: 0, missed: 0 };
    this.#counts.set(principal, known);
    return known;
  }
}

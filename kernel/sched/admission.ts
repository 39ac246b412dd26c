/**
 * Admission: how many generations a model takes on. Beyond that the caller gets EAGAIN with
 * the time after which it should find a place.
 *
 * All of them share one pool of places, and nobody is given a part of it for good: alone one
 * gets nearly all. But whoever holds more must leave more free. A process may hold at most
 * PROCESS times, a principal PRINCIPAL times the places that are left free (a dynamic
 * threshold, as switches share their buffers: Choudhury and Hahne 1998); so whoever comes
 * then still finds some. One that nobody reads gives its place away after a while
 * (place.ts); there may be as many of those as there are places, and more keep theirs. Batch
 * work is shed first: it finds no place where the last quarter begins.
 *
 * When to come back is computed from the queue: as many generations as must end before there
 * is a place for the caller, times the work that one was, over the rate at which the slots
 * were seen to work. Those who were refused before are counted too, so that all who were
 * told to come back do not come back for the same place.
 */
import { ContixError } from "../../proto/errno.js";
import type { ProcessClass } from "../journal/fold-procs.js";

const PROCESS = 4;
const PRINCIPAL = 8;
/** The part of all places that is not for batch. */
const BATCH_RESERVE = 1 / 4;
/** Weight of the newest generation in the running means. */
const SMOOTHING = 0.1;
/** Before anything was seen: a generation, in tokens generated, and the time of one in a slot. */
const FIRST_WORK = 100;
const FIRST_TOKEN_US = 10_000;
/** Nobody is told to come back sooner, or later, microseconds. */
const SOONEST_US = 10_000;
const LATEST_US = 600_000_000;

/** Who asks for a place. */
export interface Asker {
  readonly pid: bigint;
  readonly principal: string;
  readonly class: ProcessClass;
}

/** What a generation was, when it is over. */
export interface Done {
  /** In tokens generated, what it was prefilled included. */
  readonly work: number;
  /** In a slot, microseconds. */
  readonly servedUs: number;
}

/** Why there is no place, and how many must come free before there is one. */
interface Refusal {
  readonly why: string;
  readonly places: number;
}

export class Admission {
  readonly limit: number;
  readonly #slots: number;
  readonly #reserve: number;
  #admitted = 0;
  #away = 0;
  #refused = 0;
  readonly #byProcess = new Map<bigint, number>();
  readonly #byPrincipal = new Map<string, number>();
  #work = FIRST_WORK;
  /** Of one slot, microseconds. */
  #tokenUs = FIRST_TOKEN_US;
  /** Until then places that come free are promised. */
  #promisedUntil = 0;

  /** `slots` run at once, `queueLimit` more may wait. */
  constructor(slots: number, queueLimit: number) {
    this.#slots = slots;
    this.limit = slots + queueLimit;
    this.#reserve = Math.floor(this.limit * BATCH_RESERVE);
  }

  get admitted(): number {
    return this.#admitted;
  }
  get refused(): number {
    return this.#refused;
  }

  /** Takes a place. EAGAIN when there is none for the asker. */
  enter(asker: Asker, now: number): void {
    const refusal = this.#refusal(asker);
    if (refusal) {
      this.#refused++;
      const from = Math.max(now, this.#promisedUntil);
      this.#promisedUntil = Math.min(now + LATEST_US, from + refusal.places * this.#placeUs);
      const retryAfterUs = Math.max(SOONEST_US, Math.round(this.#promisedUntil - now));
      throw new ContixError("EAGAIN", refusal.why, { retryAfterUs });
    }
    this.#count(asker, 1);
  }

  /** Gives the place back. `done`: what it was, if it was served at all. */
  leave(asker: Asker, done?: Done): void {
    this.#count(asker, -1);
    if (!done || done.work <= 0 || done.servedUs <= 0) return;
    this.#work += SMOOTHING * (done.work - this.#work);
    this.#tokenUs += SMOOTHING * (done.servedUs / done.work - this.#tokenUs);
  }

  /** Its reader is behind: its place is free for others. False: too many have done so, it keeps it. */
  away(asker: Asker): boolean {
    if (this.#away >= this.limit) return false;
    this.#away++;
    this.#count(asker, -1);
    return true;
  }

  /** It is read again, or over: it has a place, if need be one more than there are. */
  back(asker: Asker): void {
    this.#away--;
    this.#count(asker, 1);
  }

  /** What somebody who is refused at `now` would be told. */
  retryAfterUs(now: number): number {
    const from = Math.max(0, this.#promisedUntil - now);
    return Math.max(SOONEST_US, Math.round(Math.min(LATEST_US, from + this.#placeUs)));
  }

  #count({ pid, principal }: Asker, by: number): void {
    this.#admitted += by;
    add(this.#byProcess, pid, by);
    add(this.#byPrincipal, principal, by);
  }

  /** From one end of a generation to the next while all slots work. */
  get #placeUs(): number {
    return (this.#work * this.#tokenUs) / this.#slots;
  }

  #refusal({ pid, principal, class: rank }: Asker): Refusal | undefined {
    const free = this.limit - this.#admitted;
    if (free <= 0)
      return { why: `${this.#admitted} generations are admitted, the limit`, places: 1 - free };
    if (rank === "batch" && free <= this.#reserve) {
      const why = `${this.#admitted} of ${this.limit} places for generations are taken; the rest is not for batch`;
      return { why, places: this.#reserve - free + 1 };
    }
    const holders = [
      { who: "this process", held: this.#byProcess.get(pid) ?? 0, share: PROCESS },
      {
        who: `the principal ${principal}`,
        held: this.#byPrincipal.get(principal) ?? 0,
        share: PRINCIPAL,
      },
    ];
    for (const { who, held, share } of holders) {
      if (held < share * free) continue;
      const why = `${who} holds ${held} of ${this.limit} places for generations; others need room`;
      // Each that ends leaves one less held and one more free.
      return { why, places: Math.floor((held - share * free) / (share + 1)) + 1 };
    }
    return undefined;
  }
}

function add<K>(counts: Map<K, number>, key: K, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}

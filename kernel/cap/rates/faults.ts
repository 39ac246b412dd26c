/**
 * Faults: frames of a principal's that say nothing a kernel could do. To refuse one costs the
 * kernel as much as a call, and its sender nothing; so a principal has a rate of them, over
 * all that it sends by, and a door does not read on for whoever is beyond it, until his
 * bucket has room again. It holds what some seconds bring: a program that is wrong at one
 * place notices nothing.
 */
import type { Purse, QuotaBooks } from "./books.js";
import { capacity } from "./bucket.js";

/** What the bucket holds, seconds of its rate; it may owe as much. */
export const FAULT_SECONDS = 10;
/**
 * Who goes on sending while he is not read owes what these seconds bring: less than the
 * time for which a process that lost its stream is kept.
 */
const FINE_SECONDS = 2;

/** What a fault brings upon its sender. */
export interface Charge {
  /** How long he is not to be read, microseconds. */
  readonly waitUs: number;
  /** He was within his rate until now, and a bucketful since he was beyond it last. */
  readonly begins: boolean;
}

/** Somebody comes who owes. */
export interface Debt {
  /** Until it is paid, microseconds; 0: he owes nothing. */
  readonly waitUs: number;
  /** The first to be refused since the principal went beyond its rate. */
  readonly first: boolean;
}

const FREE: Charge & Debt = { waitUs: 0, begins: false, first: false };

export class Faults {
  readonly #books: Pick<QuotaBooks, "now" | "limit" | "purse">;

  constructor(books: Pick<QuotaBooks, "now" | "limit" | "purse">) {
    this.#books = books;
  }

  /** How many a second the principal may send; Infinity: no limit. */
  rate(principal: string): number {
    return this.#books.limit(principal, "faultsPerSecond");
  }

  /** The principal has sent one. */
  charge(principal: string): Charge {
    const rate = this.rate(principal);
    if (!Number.isFinite(rate)) return FREE;
    const { now } = this.#books;
    const purse = this.#books.purse(principal);
    if (purse.faults.isFull(now, rate)) purse.episode = undefined;
    owe(purse, now, rate, 1);
    const waitUs = purse.faults.waitUs(now, rate, 1);
    const begins = waitUs > 0 && purse.episode === undefined;
    if (begins) purse.episode = { recorded: false };
    return { waitUs, begins };
  }

  /** The principal sends on though it is not read. @returns how long it is to stay away, microseconds */
  fine(principal: string): number {
    const rate = this.rate(principal);
    if (!Number.isFinite(rate)) return 0;
    const { now } = this.#books;
    const purse = this.#books.purse(principal);
    const left = purse.faults.level(now, rate) + FINE_SECONDS * rate;
    owe(purse, now, rate, Math.max(0, left));
    return purse.faults.waitUs(now, rate, 1);
  }

  /** Whether the principal has to pay for its faults before it may come by a door that can not wait. */
  debt(principal: string): Debt {
    const rate = this.rate(principal);
    if (!Number.isFinite(rate)) return FREE;
    const purse = this.#books.purse(principal);
    const waitUs = purse.faults.waitUs(this.#books.now, rate, 1);
    if (waitUs === 0) return FREE;
    const first = purse.episode?.recorded !== true;
    purse.episode = { recorded: true };
    return { waitUs, first };
  }

  /** What is used of the bucket, and owed. */
  used(principal: string): number {
    const rate = this.rate(principal);
    if (!Number.isFinite(rate)) return 0;
    const level = this.#books.purse(principal).faults.level(this.#books.now, rate);
    return capacity(rate, FAULT_SECONDS) - level;
  }
}

/** Takes so many, as far as the bucket may owe them. */
function owe({ faults }: Purse, now: number, rate: number, n: number): void {
  const most = faults.level(now, rate) + capacity(rate, FAULT_SECONDS);
  faults.charge(now, rate, Math.min(n, Math.max(0, most)));
}

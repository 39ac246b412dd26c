/**
 * How soon newcomers find a page: learned like a wait, by what the page has been through.
 *
 * - *found*: by how long ago newcomers had found it before. What all begin with is found
 *   each few seconds, a conversation that comes back without its context after minutes:
 *   the last interval says most about the next (as in LIRS: Jiang and Zhang, "LIRS: an
 *   efficient low inter-reference recency set replacement policy", 2002).
 * - *own*: never found, and behind a generated token. A newcomer's tokens are all given,
 *   so only forks can have the same history; when its context is gone, it mostly is no
 *   use to anybody.
 * - *new*: never found, and given.
 */
import type { Page } from "../page.js";
import { type WaitSketch, Waits } from "./waits.js";

const SECOND = 1_000_000;
/** Intervals are told apart by factors of 4 from a second on. */
const OCTAVES = 2;
const LONGEST = 7;
const NEVER = -1;

/** What is known of a page that newcomers may find. */
export interface Findable {
  readonly page: Page;
  /** It has a generated token, or a page before it has. */
  own: boolean;
  /** When a newcomer found it last, or it came into the tier. */
  foundAt: number;
  /** Class of the interval before that; -1: it was not found yet. */
  interval: number;
}

export class Findings {
  readonly #new: WaitSketch;
  readonly #own: WaitSketch;
  readonly #found: readonly WaitSketch[];

  constructor(learned = new Waits()) {
    this.#new = learned.of("new");
    this.#own = learned.of("own");
    this.#found = Array.from({ length: LONGEST + 1 }, (_, i) => learned.of(`found:${i}`));
  }

  /** The page came into the tier, behind `parent`. */
  begin(page: Findable, parent: Findable | undefined, now: number): void {
    page.own = page.page.ways !== 0 || parent?.own === true;
    page.foundAt = now;
    page.interval = NEVER;
  }

  /** A newcomer found it. */
  found(page: Findable, now: number): void {
    const us = now - page.foundAt;
    this.of(page).returned(us);
    page.foundAt = now;
    const octaves = Math.log2(Math.max(1, us / SECOND));
    page.interval = Math.min(LONGEST, Math.floor(octaves / OCTAVES));
  }

  /** It left the tier, and nobody looks any more. */
  lost(page: Findable, now: number): void {
    this.of(page).lost(now - page.foundAt);
  }

  /** Of the pages like it: how long until the next newcomer. */
  of({ own, interval }: Findable): WaitSketch {
    // An array asked for -1 looks for a property of that name, which takes as long as all the rest.
    const found = interval === NEVER ? undefined : this.#found[interval];
    return found ?? (own ? this.#own : this.#new);
  }
}

/**
 * Writing through: pages that have a frame get a block too, the oldest first, so many at
 * once as the driver takes.
 *
 * The driver holds a copy of each page that waits for its disk, and of copies it has few.
 * A write that found none is answered "busy": nothing is wrong, and it is asked for again.
 * How many the driver takes nobody says, so that is learned: where one was refused, no
 * more than are under way are sent, and with each that goes well one more. A write that
 * fails is not tried again, since its page is in RAM and a disk that is full stays full;
 * after several in a row nothing is written until there is another driver.
 */
import type { PageWrite } from "../../proto/gen/contix/driver/v1/llm.js";
import { NOBODY } from "./eviction/policy.js";
import { nameBytes } from "./names.js";
import type { PoolPage } from "./pool-page.js";
import type { Store } from "./store.js";

/** Writes under way at once. */
const MOST = 32;
/** So many failed writes in a row, and nothing is written until there is another driver. */
const FAILURES = 8;
/** What the driver says when too much waits for its disk. */
const BUSY = "busy";

export class WriteThrough {
  readonly #store: Store;
  /** For which context the page that goes to a block was saved. */
  readonly #underWay = new Map<number, bigint>();
  readonly #lives: (cid: bigint) => boolean;
  #room = MOST;
  #failures = 0;

  /** `lives` says whether a context is not closed. */
  constructor(store: Store, lives: (cid: bigint) => boolean) {
    this.#store = store;
    this.#lives = lives;
  }

  /** Frames that wait to be written, when there is room for more writes. */
  get backlog(): number {
    if (this.#underWay.size > this.#room / 2 || this.#failures >= FAILURES) return 0;
    return this.#store.unwritten.size;
  }

  /** What the plan that is being made writes. */
  next(now: number): PageWrite[] {
    const writes: PageWrite[] = [];
    const { unwritten } = this.#store;
    for (const [page, cid] of unwritten) {
      if (this.#underWay.size >= this.#room || this.#failures >= FAILURES) break;
      unwritten.delete(page);
      // Blocks must suffice by themselves.
      if (page.parent && page.parent.block < 0) continue;
      // A context may be closed before its last pages' turn has come.
      const block = this.#store.enterBlock(page, this.#lives(cid) ? cid : NOBODY, now);
      if (block < 0) continue;
      this.#underWay.set(block, cid);
      writes.push({ frame: page.frame, block, name: nameBytes(page.name) });
    }
    return writes;
  }

  /** The write of a page to `block` is over. @returns whether it failed for good */
  done(block: number, page: PoolPage, error: string): boolean {
    const cid = this.#underWay.get(block);
    if (cid === undefined) return false;
    this.#underWay.delete(block);
    if (error === "") {
      this.#failures = 0;
      this.#room = Math.min(MOST, this.#room + 1);
      return false;
    }
    // One that says so with nothing under way would say so for ever.
    if (error === BUSY && this.#underWay.size > 0) {
      this.#room = this.#underWay.size;
      this.#again(page, cid);
      return false;
    }
    this.#failures++;
    return true;
  }

  /** The driver is gone. */
  reset(): void {
    this.#underWay.clear();
    this.#room = MOST;
    this.#failures = 0;
  }

  /** To be written once more, and what is behind it after it, whose blocks it takes along. */
  #again(page: PoolPage, cid: bigint): void {
    const { unwritten } = this.#store;
    if (page.frame < 0 || page.block >= 0 || !page.full) return;
    unwritten.delete(page);
    unwritten.set(page, cid);
    for (const kid of page.kids) this.#again(kid, unwritten.get(kid) ?? cid);
  }
}

/**
 * Answers to requests that are none come late, once one sender has more of them than he may:
 * to refuse costs the gateway as much as to serve, and the sender nothing. Who waits for his
 * refusal asks again later; good requests wait for nothing. Only so many wait: whoever is
 * beyond that is hung up on.
 */
import { LRUCache } from "lru-cache";

/** What one sender may have at once, seconds of his rate. */
const BURST_S = 4;
/**
 * An answer is so late at most, milliseconds: a client that is only wrong is to be told. Below
 * that they leave one by one, at the sender's rate: all of a second at once would make him ask
 * all at once again.
 */
const LATEST_MS = 5_000;
/** Senders that are remembered; those beyond it begin anew. */
const SENDERS = 4096;

export interface LateOptions {
  /** Of each sender; 0: no limit. */
  readonly perSecond: number;
  /** Answers that wait at once. */
  readonly most: number;
  /** Milliseconds, of a clock that does not step. */
  readonly now?: () => number;
}

export class LateAnswers {
  readonly #options: LateOptions;
  readonly #now: () => number;
  /** When each sender will have paid for all that he sent, milliseconds. */
  readonly #paid = new LRUCache<string, number>({ max: SENDERS });
  readonly #waiting = new Map<() => void, NodeJS.Timeout>();
  /** Answers that came late, and senders that were hung up on instead. */
  late = 0;
  cut = 0;

  constructor(options: LateOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Answers that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Calls `answer` when the sender's request may be refused: at once, or later. False: it is
   * not called, and he is to be hung up on. `gone` is given what to call when he has left.
   */
  refuse(sender: string, answer: () => void, gone: (forget: () => void) => void): boolean {
    const waitMs = this.#charge(sender);
    if (waitMs === 0) {
      answer();
      return true;
    }
    if (this.#waiting.size >= this.#options.most) {
      this.cut++;
      return false;
    }
    this.late++;
    const over = (): void => {
      this.#waiting.delete(over);
      answer();
    };
    this.#waiting.set(over, setTimeout(over, waitMs));
    gone(() => {
      clearTimeout(this.#waiting.get(over));
      this.#waiting.delete(over);
    });
    return true;
  }

  /** Answers all that wait. */
  close(): void {
    for (const [over, timer] of [...this.#waiting]) {
      clearTimeout(timer);
      over();
    }
  }

  /** Books one of the sender's. @returns how late its answer is to be, milliseconds */
  #charge(sender: string): number {
    const { perSecond } = this.#options;
    if (perSecond === 0) return 0;
    const now = this.#now();
    const each = 1000 / perSecond;
    const burst = BURST_S * 1000;
    const paid = Math.max(now, this.#paid.get(sender) ?? now) + each;
    // What is owed beyond the latest answer is given up: he is to be heard again soon.
    this.#paid.set(sender, Math.min(paid, now + burst + LATEST_MS));
    return Math.min(LATEST_MS, Math.max(0, paid - burst - now));
  }
}

/**
 * How long a prefill chunk may be beside rows that decode.
 *
 * A step takes as long as its rows and its chunk together, and every row waits for it
 * before its next token. So a chunk gets what a step of these rows leaves of the
 * inter-token target, at the price a token of prefill was seen to have. Both prices are
 * moving averages of the steps that were run: other machines, models and neighbours
 * have other prices. Where chunks are cut never changes an answer (law 2).
 */

/** The weight of a new step in the averages: the last dozen count. */
const WEIGHT = 1 / 8;
/** Shorter chunks cost more than they give; longer ones hold up a cancel. Tokens. */
const SHORTEST = 16;
const LONGEST = 256;

export class ChunkPace {
  readonly #first: number;
  readonly #targetUs: number;
  /** Microseconds of a step of so many rows, without a chunk. */
  readonly #rowsUs = new Map<number, number>();
  /** Microseconds of one token of a chunk; 0 before the first. */
  #tokenUs = 0;

  /** @param first the size before anything is known, tokens @param targetUs from token to token of a row */
  constructor(first: number, targetUs: number) {
    this.#first = first;
    this.#targetUs = targetUs;
  }

  /** A step of `rows` rows and `chunk` tokens of prefill took so long. */
  note(rows: number, chunk: number, stepUs: number): void {
    if (chunk === 0) {
      this.#rowsUs.set(rows, average(this.#rowsUs.get(rows), stepUs));
      return;
    }
    const ofChunk = Math.max(0, stepUs - this.#stepUs(rows));
    this.#tokenUs = average(this.#tokenUs || undefined, ofChunk / chunk);
  }

  /** Tokens of the next chunk beside `rows` rows. */
  size(rows: number): number {
    if (this.#tokenUs === 0) return this.#first;
    const tokens = (this.#targetUs - this.#stepUs(rows)) / this.#tokenUs;
    const whole = Math.floor(tokens / SHORTEST) * SHORTEST;
    return Math.min(LONGEST, Math.max(SHORTEST, whole));
  }

  /** What a step of rows alone takes: as seen, or as seen of the nearest number of rows. */
  #stepUs(rows: number): number {
    if (rows === 0) return 0;
    let nearest = 0;
    let distance = Number.POSITIVE_INFINITY;
    for (const [seen, us] of this.#rowsUs) {
      if (Math.abs(seen - rows) >= distance) continue;
      distance = Math.abs(seen - rows);
      nearest = us;
    }
    return nearest;
  }
}

function average(before: number | undefined, now: number): number {
  return before === undefined ? now : before + (now - before) * WEIGHT;
}

/**
 * How often a stream tells what it has.
 *
 * A chunk costs the kernel and the agent that reads it about half a millisecond of CPU, most
 * of it in gRPC and in waking a process, however many tokens are in it; with a chunk for each
 * token sixteen streams would take a quarter of the machine from the model. So all streams
 * together send a bounded number of chunks a second: one alone gets every token as it comes,
 * one of many gets a few tokens at a time. The first chunk of a stream never waits.
 */

/** Of all streams together, microseconds from chunk to chunk. */
const CHUNK_US = 12_000;
/** What nobody waits for is known this late at most, microseconds. */
const GATHER_US = 200_000;

export class ChunkRate {
  #streams = 0;

  /** One stream more, until it is disposed of. */
  enter(): Disposable {
    this.#streams++;
    let gone = false;
    return {
      [Symbol.dispose]: () => {
        if (!gone) this.#streams--;
        gone = true;
      },
    };
  }

  /** Microseconds between two chunks of one stream. */
  get intervalUs(): number {
    return this.#streams * CHUNK_US;
  }

  /**
   * How long a driver may gather what its steps generate, microseconds: until chunks of it
   * are due, since each time it tells wakes the kernel in the middle of the model's work.
   */
  get gatherUs(): number {
    return this.#streams === 0 ? GATHER_US : Math.min(this.intervalUs, GATHER_US);
  }
}

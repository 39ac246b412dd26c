/**
 * Programs that are to start have turns, one in each round of the event loop. The system holds up
 * who starts a process until that runs its program, on a busy machine for long; of a team that
 * starts at once the kernel would else start all before it reads a socket, and who started first
 * would wait for an answer until the last one had.
 */
export class StartTurns {
  #last: Promise<void> = Promise.resolve();

  /** Resolves when it is the caller's turn. */
  next(): Promise<void> {
    this.#last = this.#last.then(() => new Promise((resolve) => setImmediate(resolve)));
    return this.#last;
  }
}

/** The daemon as a page that stays sees it: it may go away, hang, and come back. */
import { ConnectionError, type Os } from "../../syscalls/index.js";
import { describe } from "../errors.js";
import { type Reading, read } from "./reading.js";

/** A daemon that has not answered for so long is said not to answer. */
const PATIENCE_MS = 5_000;

export class Source implements AsyncDisposable {
  readonly #connect: () => Promise<Os>;
  #os: Os | undefined;
  #ended = false;
  /** Somebody sent this process a TERM of its own. */
  #told = false;

  constructor(connect: () => Promise<Os>) {
    this.#connect = connect;
  }

  /** Whether this process was asked to end by another one. */
  get told(): boolean {
    return this.#told;
  }

  /** The attachment; a new one when the last was lost. Rejects when there is no daemon. */
  async os(): Promise<Os> {
    if (this.#os !== undefined && !this.#ended) return this.#os;
    await this.#os?.close();
    this.#os = undefined;
    const os = await this.#connect();
    this.#os = os;
    this.#ended = false;
    // A daemon that shuts down says TERM; without a handler that would end this program.
    for (const name of ["TERM", "INT", "HUP"]) {
      os.on(name, ({ from }) => {
        if (from === null) this.#ended = true;
        else this.#told = true;
      });
    }
    return os;
  }

  /** What there is to see, or why there is nothing: one line. Rejects only when `signal` aborts. */
  async read(all: boolean, signal: AbortSignal): Promise<Reading | string> {
    const patience = AbortSignal.timeout(PATIENCE_MS);
    try {
      return await read(await this.os(), { all, signal: AbortSignal.any([signal, patience]) });
    } catch (error) {
      signal.throwIfAborted();
      if (patience.aborted) return `the daemon has not answered for ${PATIENCE_MS / 1000} s`;
      if (error instanceof ConnectionError) this.#ended = true;
      return describe(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#os?.close();
  }
}

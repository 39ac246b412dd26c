/**
 * The near side of a thread that works for the swap file: it does jobs in order, and each is
 * answered. When the thread is lost, what it had not done has failed, in words; the next job
 * starts another.
 */
import type { Worker } from "node:worker_threads";
import type { Errors, Job } from "./swap-protocol.js";

interface Asked {
  readonly moves: number;
  readonly done: (errors: Errors) => void;
}

export class SwapThread {
  readonly #make: () => Worker;
  #worker: Worker | undefined;
  #asked: Asked[] = [];
  #closed = false;

  /** The thread starts with the first job. */
  constructor(make: () => Worker) {
    this.#make = make;
  }

  /** Jobs that it has to do. */
  get jobs(): number {
    return this.#asked.length;
  }

  /** Never rejects. */
  ask(job: Job): Promise<Errors> {
    return new Promise((done) => {
      this.#asked.push({ moves: job.moves.length, done });
      if (this.#closed) this.#fail("the swap file is closed");
      // What is posted before the thread is ready waits in its port.
      else (this.#worker ?? this.#start())?.postMessage(job);
    });
  }

  /** Ends the thread, which has nothing to do. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
  }

  #start(): Worker | undefined {
    let worker: Worker;
    try {
      worker = this.#make();
    } catch (error) {
      this.#fail(lost(words(error)));
      return undefined;
    }
    let why = "it exited";
    worker.on("message", (errors: Errors) => this.#asked.shift()?.done(errors));
    worker.on("error", (error) => {
      why = words(error);
    });
    // Only now it surely writes nowhere any more.
    worker.on("exit", () => {
      this.#worker = undefined;
      this.#fail(lost(why));
    });
    this.#worker = worker;
    return worker;
  }

  #fail(error: string): void {
    for (const { moves, done } of this.#asked.splice(0)) done(Array(moves).fill(error));
  }
}

function lost(why: string): string {
  return `a thread of the swap file was lost: ${why}`;
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

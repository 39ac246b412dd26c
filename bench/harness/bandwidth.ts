/**
 * The memory bandwidth that all cores together reach when they only read: what bounds the step
 * of one row, which reads every weight once.
 *
 * One worker thread a core, each with a block of its own that is larger than its share of any
 * cache, looks through it for a byte that is not there (`Buffer.indexOf` is the C library's
 * memchr: vector loads, in order, nothing else). The threads start together; the bandwidth is
 * all bytes over the time from the first start to the last end.
 */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { z } from "zod";

/** Bytes of a worker's block: far beyond the last cache of today's servers. */
const BLOCK = 512 * 2 ** 20;

const WORKER = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { block, gate } = workerData;
  // Written, so that every page is one of its own and not the page of zeros.
  const bytes = Buffer.alloc(block, 1);
  const now = () => performance.timeOrigin + performance.now();
  parentPort.on("message", (passes) => {
    Atomics.add(gate, 0, 1);
    while (Atomics.load(gate, 0) < gate.length - 1);
    const start = now();
    for (let pass = 0; pass < passes; pass++) if (bytes.indexOf(2) !== -1) throw new Error("found");
    parentPort.postMessage({ start, end: now() });
  });
  parentPort.postMessage("ready");
`;

const Span = z.object({ start: z.number(), end: z.number() });

/** Worker threads that read memory, kept from one measurement to the next. */
export class Bandwidth implements AsyncDisposable {
  readonly #workers: readonly Worker[];
  readonly #block: number;
  /** [0]: how many have started; its length is one more than there are workers. */
  readonly #gate: Int32Array;

  private constructor(workers: readonly Worker[], block: number, gate: Int32Array) {
    this.#workers = workers;
    this.#block = block;
    this.#gate = gate;
  }

  /** @param threads 0: one a core @param block bytes that each thread reads */
  static async open(threads = 0, block = BLOCK): Promise<Bandwidth> {
    const count = threads || availableParallelism();
    const gate = new Int32Array(new SharedArrayBuffer(4 * (count + 1)));
    const workers = Array.from(
      { length: count },
      () => new Worker(WORKER, { eval: true, workerData: { block, gate } }),
    );
    await Promise.all(workers.map(message));
    return new Bandwidth(workers, block, gate);
  }

  /** Bytes a second, over `passes` readings of every block. */
  async measure(passes: number): Promise<number> {
    this.#gate[0] = 0;
    const replies = Promise.all(this.#workers.map(message));
    for (const worker of this.#workers) worker.postMessage(passes);
    const spans = (await replies).map((reply) => Span.parse(reply));
    const first = Math.min(...spans.map(({ start }) => start));
    const last = Math.max(...spans.map(({ end }) => end));
    return (spans.length * this.#block * passes * 1000) / (last - first);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

function message(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

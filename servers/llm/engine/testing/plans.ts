/** Plans for tests, of which only what matters is said. */

import type {
  Bind,
  Burst,
  PageDone,
  Plan,
  RowOutcome,
} from "../../../../proto/gen/contix/driver/v1/llm.js";
import { Executor, type ExecutorPorts } from "../executor.js";
import { letters } from "./hash-model.js";

export function burst(fields: Partial<Burst> = {}): Burst {
  return {
    id: 1n,
    genStart: 4,
    maxTokens: 100,
    temperature: 0,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    seed: 0n,
    stop: [],
    ignoreEos: true,
    ...fields,
  };
}

/** One step in which nothing happens but what `fields` say. */
export function planOf(id: bigint, fields: Partial<Plan>): Plan {
  return {
    id,
    steps: 1,
    gatherUs: 0,
    copies: [],
    saves: [],
    writes: [],
    reads: [],
    binds: [],
    rows: [],
    chunks: [],
    ...fields,
  };
}

export function bind(slot: number, keep: number, fields: Partial<Bind> = {}): Bind {
  return { slot, keep, burst: undefined, loads: [], ...fields };
}

/** Feeds an executor plan by plan, and hears what it says. */
export class Bench {
  readonly pages: PageDone[] = [];
  readonly sampled: number[] = [];
  readonly #executor: Executor;
  readonly #over: Promise<void>;
  #plans = 0n;
  #heard: () => void = () => {};
  #done = 0n;

  /** `hear` hears of each row, when its step is over. */
  constructor(ports: Pick<ExecutorPorts, "model" | "swap">, hear?: (row: RowOutcome) => void) {
    this.#executor = new Executor({
      ...ports,
      detokenizer: letters,
      nowUs: () => 0,
      report: ({ plan, last, rows }) => {
        for (const row of rows) {
          this.sampled.push(...row.sampled);
          hear?.(row);
        }
        if (last) this.#done = plan;
        this.#heard();
      },
      reportPages: (done) => {
        this.pages.push(...done);
        this.#heard();
      },
    });
    this.#over = this.#executor.run();
    // Whoever waits hears of it; nobody else has to.
    this.#over.catch(() => this.#heard());
  }

  /** Sends a plan, and does not wait for it. */
  send(fields: Partial<Plan>): void {
    this.#executor.submit(planOf(++this.#plans, fields));
  }

  /** Sends a plan, and waits until it ran out. Rejects with what the executor rejects with. */
  async run(fields: Partial<Plan>): Promise<void> {
    this.send(fields);
    await this.until(() => this.#done === this.#plans);
  }

  /** Waits for so many reads and writes in all. */
  async untilPages(count: number): Promise<PageDone[]> {
    await this.until(() => this.pages.length >= count);
    return this.pages;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      const heard = new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
      await Promise.race([heard, this.#over]);
    }
  }

  async stop(): Promise<void> {
    this.#executor.stop();
    await this.#over;
  }
}

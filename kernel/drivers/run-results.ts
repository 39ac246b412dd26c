/** What happens to a running plan, kept in order until the loop asks for it. */
import type { Outcome, PageDone } from "../../proto/gen/contix/driver/v1/llm.js";
import type { RunResult } from "../sched/loop.js";

export class RunResults {
  #outcomes: Outcome[] = [];
  #pages: PageDone[] = [];
  #woken = false;
  #lost = false;
  /** A wake is on its way. */
  #waking = false;
  #waiter: ((result: RunResult) => void) | undefined;

  /** The next result: a loss before outcomes, since a loss makes them void; then a reason to plan. */
  next(): Promise<RunResult> {
    return new Promise((resolve) => {
      this.#waiter = resolve;
      this.#settle();
    });
  }

  outcome(outcome: Outcome): void {
    this.#outcomes.push(outcome);
    this.#settle();
  }

  /** Reads and writes of the swap file that are over. */
  pages(done: readonly PageDone[]): void {
    this.#pages.push(...done);
    this.#settle();
  }

  /** Many calls that come together are one reason to plan: it is told when all were read. */
  wake(): void {
    if (this.#waking) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      this.#woken = true;
      this.#settle();
    });
  }

  /** The driver is gone; what it said and nobody has read yet is void. */
  lost(): void {
    this.#outcomes = [];
    this.#pages = [];
    this.#lost = true;
    this.#settle();
  }

  #settle(): void {
    const waiter = this.#waiter;
    const result = waiter && this.#take();
    if (!result) return;
    this.#waiter = undefined;
    waiter(result);
  }

  #take(): RunResult | undefined {
    if (this.#lost) {
      this.#lost = false;
      return { kind: "lost" };
    }
    if (this.#outcomes.length + this.#pages.length > 0) {
      const outcomes = this.#outcomes;
      const pages = this.#pages;
      this.#outcomes = [];
      this.#pages = [];
      return { kind: "outcomes", outcomes, pages };
    }
    if (!this.#woken) return undefined;
    this.#woken = false;
    return { kind: "woken" };
  }
}

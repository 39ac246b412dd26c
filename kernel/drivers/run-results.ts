/** What happens to a running plan, kept in order until the loop asks for it. */
import type { Outcome } from "../../proto/gen/contix/driver/v1/llm.js";
import type { RunResult } from "../sched/loop.js";

export class RunResults {
  #outcomes: Outcome[] = [];
  #woken = false;
  #lost = false;
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

  wake(): void {
    this.#woken = true;
    this.#settle();
  }

  /** The driver is gone; what it said and nobody has read yet is void. */
  lost(): void {
    this.#outcomes = [];
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
    if (this.#outcomes.length > 0) {
      const outcomes = this.#outcomes;
      this.#outcomes = [];
      return { kind: "outcomes", outcomes };
    }
    if (!this.#woken) return undefined;
    this.#woken = false;
    return { kind: "woken" };
  }
}

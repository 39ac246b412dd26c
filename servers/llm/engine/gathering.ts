/**
 * Outcomes on their way to the kernel.
 *
 * To tell of each step wakes the kernel, and through it its readers, as often as the model
 * steps, and each time in the middle of the next step, whose threads wait for the slowest.
 * So a plan may let steps be gathered for a while (Plan.gather_us): steps in which every row
 * sampled and none ended are told of as one. Whatever somebody may wait for goes at once, and
 * what was held before it: nothing is told out of order.
 */
import type { Outcome, Plan, RowOutcome } from "../../../proto/gen/contix/driver/v1/llm.js";

/** The kernel renews a plan before it runs out: it must hear in time that it does. */
const LAST_STEPS = 8;

export interface GatheringPorts {
  report(outcome: Outcome): void;
  /** A monotonic clock, microseconds. */
  nowUs(): number;
}

export class Gathering {
  readonly #ports: GatheringPorts;
  #held: Outcome | undefined;
  /** When the kernel last was told something. */
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(ports: GatheringPorts) {
    this.#ports = ports;
  }

  /** Takes the outcome of one step of `plan`. `awaited`: somebody waits for it. */
  add(outcome: Outcome, { steps, gatherUs }: Plan, awaited: boolean): void {
    const plain = !awaited && outcome.rows.every(isPlain);
    if (!plain || (this.#held && !alike(this.#held, outcome))) this.flush();
    this.#held = this.#held ? merged(this.#held, outcome) : outcome;
    const ending = outcome.last || outcome.step + LAST_STEPS >= steps;
    if (!plain || ending || this.#ports.nowUs() - this.#toldAt >= gatherUs) this.flush();
  }

  /** Tells what is held. */
  flush(): void {
    if (!this.#held) return;
    this.#toldAt = this.#ports.nowUs();
    this.#ports.report(this.#held);
    this.#held = undefined;
  }
}

function isPlain({ sampled, finish }: RowOutcome): boolean {
  return sampled.length > 0 && finish === "";
}

/** Whether they tell of the same rows. */
function alike({ rows }: Outcome, next: Outcome): boolean {
  return (
    rows.length === next.rows.length && rows.every(({ burst }, i) => burst === next.rows[i]?.burst)
  );
}

function merged(held: Outcome, next: Outcome): Outcome {
  const rows = held.rows.map((row, i): RowOutcome => {
    const more = next.rows[i];
    if (!more) return row;
    for (const token of more.sampled) row.sampled.push(token);
    if (more.logprobs) row.logprobs?.tokens.push(...more.logprobs.tokens);
    const { sampled, logprobs } = row;
    return { ...more, sampled, logprobs, text: row.text + more.text };
  });
  return { ...next, rows, stepUs: held.stepUs + next.stepUs, steps: held.steps + next.steps };
}

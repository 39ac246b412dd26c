/**
 * What a decision costs by how many bursts want a slot: the kernel's Scheduler on 16 slots,
 * in this process, with 10 to 100,000 bursts of many programs and principals. Each decision
 * is one step: a token is booked for each that runs, who is over is replaced by one that
 * arrives, and the Scheduler says who runs next. All of that is timed, in batches.
 */
import { makePolicy, POLICY_NAMES } from "../../kernel/sched/policies.js";
import { Scheduler } from "../../kernel/sched/scheduler.js";
import { NOBODY, rowOf, specOf } from "../../kernel/sched/testing/bursts.js";
import { type Figure, figure } from "../harness/report.js";
import { markdownTable } from "../harness/table.js";
import { type SuiteResult, say } from "./suite.js";

export const SIZES = [10, 100, 1000, 10_000, 100_000] as const;
const SLOTS = 16;
const QUANTUM = 8;
const STEP_US = 20_000;
/** Tokens of a burst: from one to so many, by its number. */
const LONGEST = 64;

export interface DecisionsOptions {
  readonly rounds: number;
  /** Decisions of a round. */
  readonly decisions: number;
  readonly sizes: readonly number[];
}

/** A scheduler with `size` bursts that want a slot, all the time. */
class Crowd {
  readonly #sched: Scheduler;
  #now = 0;
  #arrivals = 0n;

  constructor(policy: string, size: number) {
    const made = makePolicy(policy, { quantum: QUANTUM });
    this.#sched = new Scheduler({ policy: made, slots: SLOTS, switchCost: () => 0 });
    for (let n = 0; n < size; n++) this.#arrive();
  }

  decide(): void {
    const sched = this.#sched;
    const running = sched.step(this.#now);
    this.#now += STEP_US;
    for (const burst of running) {
      const { genStart, maxTokens } = burst.spec;
      sched.account(burst, rowOf(genStart + burst.generatedSoFar, 1), this.#now);
      if (burst.generatedSoFar < maxTokens) continue;
      sched.remove(burst, this.#now);
      this.#arrive();
    }
  }

  /** Programs of four processes, principals of a hundred programs, nice values of all kinds. */
  #arrive(): void {
    const n = ++this.#arrivals;
    const spec = specOf(n, {
      ...{ program: n / 4n, principal: `p${n / 400n}` },
      ...{ genStart: 100, maxTokens: 1 + (Number(n * 7919n) % LONGEST) },
    });
    const nice = (Number(n * 31n) % 40) - 20;
    this.#sched.enqueue(spec, NOBODY, nice, this.#now, this.#now);
  }
}

export function schedDecisions({ rounds, decisions, sizes }: DecisionsOptions): SuiteResult {
  const figures: Figure[] = [];
  const medians = new Map<string, number[]>();
  for (const policy of POLICY_NAMES) {
    for (const size of sizes) {
      say(`${policy}, ${size} bursts`);
      const of = figure(`${policy}.${size}`, "µs of CPU", measure(policy, size, rounds, decisions));
      figures.push(of);
      medians.set(policy, [...(medians.get(policy) ?? []), of.median]);
    }
  }
  const whole = sizes.length > 1 ? [...medians] : [];
  for (const [policy, row] of whole) {
    const growth = (row.at(-1) ?? 0) / (row[0] ?? 1);
    figures.push(figure(`${policy}.growth`, "×", [growth]));
  }
  const rows = [...medians].map(([policy, row]) => [policy, ...row.map((us) => us.toFixed(1))]);
  const table = markdownTable(["µs a decision", ...sizes.map(String)], rows);
  return {
    parameters: { rounds, decisions, slots: SLOTS, quantum: QUANTUM },
    figures,
    notes: [table],
  };
}

/** Microseconds of CPU of a decision, garbage collection and all, the mean of each round. */
function measure(policy: string, size: number, rounds: number, decisions: number): number[] {
  const crowd = new Crowd(policy, size);
  for (let n = 0; n < decisions; n++) crowd.decide();
  return Array.from({ length: rounds }, () => {
    const begun = process.cpuUsage();
    for (let n = 0; n < decisions; n++) crowd.decide();
    const { user, system } = process.cpuUsage(begun);
    return (user + system) / decisions;
  });
}

/** Guards of scheduling and admission. See mutants.mjs. */

const SUITE = "test/conformance/policies.test.ts";
const OF = (policy) => `test/conformance/policy-${policy}.test.ts`;
const SCHEDULER = "kernel/sched/scheduler.test.ts";
const ADMISSION = "kernel/sched/admission.test.ts";

/** @type {readonly (readonly [name: string, file: string, from: string, to: string, test: string])[]} */
const ROWS = [
  [
    "rr: nobody is ever preempted",
    "kernel/sched/policies/rr.ts",
    "yields: ({ quantumUsed }) => quantumUsed >= quantum,",
    "yields: () => false,",
    SCHEDULER,
  ],
  [
    "scheduler: the cost of a switch does not count",
    "kernel/sched/gives-way.ts",
    "burst.turnService >= cost / 2 && left > cost",
    "burst.turnService >= 0 && left > cost",
    SCHEDULER,
  ],
  [
    "scheduler: who is nearly over loses its slot",
    "kernel/sched/gives-way.ts",
    "burst.turnService >= cost / 2 && left > cost",
    "burst.turnService >= cost / 2 && left > 0",
    SCHEDULER,
  ],
  [
    "scheduler: what was found in the slot counts as served",
    "kernel/sched/new-burst.ts",
    "Math.max(burst.entered, burst.cached)",
    "burst.entered",
    SCHEDULER,
  ],
  [
    "scheduler: who gives way is chosen again in the same step",
    "kernel/sched/scheduler.ts",
    "      gone.push(burst);\n",
    "      this.#wait(burst, now);\n",
    SCHEDULER,
  ],
  [
    "scheduler: a class has the slots for ever",
    "kernel/sched/run-queue.ts",
    "passed >= PASSES",
    "passed < 0",
    SCHEDULER,
  ],
  [
    "scheduler: a turn that was owed is taken at once",
    "kernel/sched/gives-way.ts",
    "if (next.owed || burst.owed) return",
    "if (next.owed) return",
    SCHEDULER,
  ],
  [
    "scheduler: another policy begins with an empty queue",
    "kernel/sched/scheduler.ts",
    "    for (const burst of waiting) this.#queue.add(burst, now);\n",
    "",
    SUITE,
  ],
  [
    "run queue: a group stays where it was",
    "kernel/sched/run-queue.ts",
    "for (const standing of account.standings) standing.move(account.key);",
    "for (const standing of account.standings) standing.move(0);",
    "kernel/sched/run-queue.test.ts",
  ],
  [
    "run queue: nobody is ever due",
    "kernel/sched/run-queue.ts",
    "waits.key <= now",
    "waits.key < 0",
    "kernel/sched/run-queue.test.ts",
  ],
  [
    "heap: what is taken out leaves a hole",
    "kernel/heap.ts",
    "    this.#settle(last);\n",
    "",
    "kernel/heap.test.ts",
  ],
  [
    "priority: waiting does not age",
    "kernel/sched/policies/priority.ts",
    "since + nice * agingUs",
    "nice * agingUs",
    OF("priority"),
  ],
  [
    "mlfq: no process begins anew",
    "kernel/sched/policies/mlfq.ts",
    "if (account.age < age) {",
    "if (account.age < -1) {",
    OF("mlfq"),
  ],
  [
    "program: each call begins anew",
    "kernel/sched/policies/program.ts",
    "it.service += costOf(service);",
    "it.service += 0 * costOf(service);",
    OF("program"),
  ],
  [
    "program: nobody is ever starved",
    "kernel/sched/policies/program.ts",
    "Math.max(0, STARVED * Math.max(LEAST_US, this.servedUs) - this.waitedUs)",
    "Math.max(Number.MAX_SAFE_INTEGER, this.servedUs - this.waitedUs)",
    SUITE,
  ],
  [
    "program: nothing is forgotten",
    "kernel/sched/policies/program.ts",
    "    this.service *= rest;\n",
    "",
    OF("program"),
  ],
  [
    "fair: what one did not use is saved up",
    "kernel/sched/policies/fair.ts",
    "it.key = Math.max(it.key, floor - CREDIT * quantum)",
    "it.key = Math.max(it.key, 0)",
    OF("fair"),
  ],
  [
    "fair: who comes back has the counter of whom it waits for",
    "kernel/sched/policies/fair.ts",
    "floor - CREDIT * quantum",
    "floor",
    OF("fair"),
  ],
  [
    "fair: who comes under ever new names is ahead of all",
    "kernel/sched/policies/fair.ts",
    "        it.key = floor;\n",
    "",
    SUITE,
  ],
  [
    "fair: input is charged when it has been computed",
    "kernel/sched/policies/fair.ts",
    "      charge(it, burst.spec.genStart * GIVEN_COST);\n",
    "",
    OF("fair"),
  ],
  [
    "fair: all weigh the same",
    "kernel/sched/policies/fair.ts",
    "it.key += cost / weightOf(it.name);",
    "it.key += cost;",
    OF("fair"),
  ],
  [
    "policies: an unknown one is the default",
    "kernel/sched/policies.ts",
    "  if (known) return",
    '  if (known || name === "RR") return',
    SUITE,
  ],
  [
    "admission: the queue has no bound",
    "kernel/sched/admission.ts",
    "    if (free <= 0)\n",
    "    if (free < -1e9)\n",
    ADMISSION,
  ],
  [
    "guard: one process or principal may take the whole queue",
    "kernel/sched/admission.ts",
    "if (held < share * free) continue;",
    "if (held < Number.POSITIVE_INFINITY) continue;",
    ADMISSION,
  ],
  [
    "admission: batch is let in as all others are",
    "kernel/sched/admission.ts",
    'if (rank === "batch" && free <= this.#reserve) {',
    'if (rank === "batch" && free < 0) {',
    ADMISSION,
  ],
  [
    "admission: all who are refused come back for the same place",
    "kernel/sched/admission.ts",
    "const from = Math.max(now, this.#promisedUntil);",
    "const from = now;",
    ADMISSION,
  ],
  [
    "chunks: nobody is patient",
    "kernel/sched/chunk-stream.ts",
    "this.#dueAt + PATIENCE_US - now",
    "this.#dueAt - now",
    "kernel/sched/chunk-stream.test.ts",
  ],
];

/** @type {readonly import("./mutants.d.mts").Mutant[]} */
export const SCHED_MUTANTS = ROWS.map(([name, file, from, to, test]) => ({
  ...{ name, file, from, to },
  tests: [test],
}));

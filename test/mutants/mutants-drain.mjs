/** Guards of seats, of a daemon's end, of work that is interrupted. See mutants.mjs. */

const SEATING = "kernel/mm/seating.ts";
const SEATING_TEST = "kernel/mm/seating.test.ts";

/** @type {readonly (readonly [name: string, file: string, from: string, to: string, test: string, only?: string])[]} */
const ROWS = [
  [
    "compaction: a burst moves without its KV",
    SEATING,
    "    draft.copies.push({ fromSlot: slot.index, toSlot: hole.index, tokens });\n",
    "",
    SEATING_TEST,
  ],
  ["compaction: holes stay", SEATING, "    this.#compact(bursts, draft);\n", "", SEATING_TEST],
  [
    "compaction: a burst that is just bound moves",
    SEATING,
    "if (draft.binds.some((bind) => bind.slot === slot.index)) return;",
    "",
    SEATING_TEST,
  ],
  [
    "compaction: a burst moves up",
    SEATING,
    " || hole.index > highest.slot.index) return;",
    ") return;",
    SEATING_TEST,
  ],
  [
    "compaction: what enters again is not counted",
    SEATING,
    "    burst.recomputed += Math.max(0, before - length);\n",
    "",
    SEATING_TEST,
  ],
  [
    "shutdown: nobody may finish",
    "kernel/main.ts",
    "  await drained(trap, clock, config.drainMs * 1000);\n",
    "",
    "test/e2e/kernel-drain.test.ts",
    "lets a generation finish whole",
  ],
  [
    "shutdown: who comes late is served",
    "kernel/trap.ts",
    "    this.#draining = true;\n",
    "",
    "test/e2e/kernel-drain.test.ts",
    "lets a generation finish whole",
  ],
  [
    "shutdown: who lasts longer gets no answer",
    "kernel/main.ts",
    '  trap.endAll(new ContixError("ESHUTDOWN", "the kernel is shutting down"));\n',
    "",
    "test/e2e/kernel-drain.test.ts",
    "ends a generation that lasts longer",
  ],
  [
    "shutdown: streams end before their last answers",
    "kernel/main.ts",
    "  await answered(kernel);\n",
    "",
    "test/e2e/kernel-drain.test.ts",
    "ends a generation that lasts longer",
  ],
  [
    "config: flags are not the last word",
    "kernel/config.ts",
    "{ ...file, ...environment, ...given, home }",
    "{ ...file, ...given, ...environment, home }",
    "cli/contixd.e2e.test.ts",
    "takes the file",
  ],
  [
    "interrupted: nobody knows whose a scratch directory is",
    "servers/llm/models/staging.ts",
    "  const path = join(parent, stagingName());\n",
    '  const path = join(parent, "scratch" + stagingName());\n',
    "test/e2e/models-interrupted.test.ts",
    "is left alone by gc",
  ],
  [
    "interrupted: locks of the dead stay",
    "servers/llm/models/library-gc.ts",
    "    ...(await oldLocks(paths.locks)),\n",
    "",
    "test/e2e/models-interrupted.test.ts",
    "is left alone by gc",
  ],
  [
    "interrupted: a compilation goes on",
    "servers/llm/models/compile.ts",
    "      options.signal?.throwIfAborted();\n",
    "",
    "test/e2e/models-interrupted.test.ts",
    "an import gives way",
  ],
];

export const DRAIN_MUTANTS = ROWS.map(([name, file, from, to, test, only]) => ({
  ...{ name, file, from, to, tests: [test] },
  ...(only && { only }),
}));

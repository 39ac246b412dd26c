/** Guards of the life of processes. See mutants.mjs. */

const LIFE = "test/e2e/processes-life.test.ts";
const OS = "kernel/proc/os-process.test.ts";
const KEEPER = "kernel/proc/keeper.test.ts";

/** @type {readonly (readonly [name: string, file: string, from: string, to: string, test: string, only?: string])[]} */
const ROWS = [
  [
    "life: a stopped process keeps its slot",
    "kernel/sched/generate.ts",
    " && !this.#call.process.stopped;",
    ";",
    LIFE,
    "that was started elsewhere",
  ],
  [
    "life: who is stopped is served",
    "kernel/trap.ts",
    "    if (!process.stopped) this.#admit(row, call);",
    "    if (!process.exit) this.#admit(row, call);",
    LIFE,
    "has its calls held",
  ],
  [
    "life: a group is whoever is in it",
    "kernel/proc/calls.ts",
    "pid === target || reaches(asker, pid, RIGHTS.signal)",
    "pid === target",
    LIFE,
    "ends the whole team",
  ],
  [
    "life: orphans keep their parent",
    "kernel/journal/fold-procs.ts",
    "      orphan(state, record.pid);\n",
    "",
    LIFE,
    "ends the whole team",
  ],
  [
    "life: what is spawned has no budget",
    "kernel/journal/fold-procs.ts",
    "...(state.processes.get(parent)?.budgets ?? [])",
    "",
    LIFE,
    "quotas of a process",
  ],
  [
    "life: a child may have more than its parent has",
    "kernel/proc/spawn.ts",
    "    if (limit <= left) continue;",
    "    if (limit <= left || known) continue;",
    LIFE,
    "quotas of a process",
  ],
  [
    "life: everybody is realtime",
    "kernel/proc/spawn.ts",
    'if (wanted === "realtime" && !mayRealtime(kernel, call)) {',
    'if (wanted === "realtime" && call.over) {',
    LIFE,
    "is a typed error",
  ],
  [
    "life: permissions open the daemon's home",
    "kernel/proc/confine.ts",
    "  if (opened === undefined) return;",
    '  if (opened !== "") return;',
    LIFE,
    "is a typed error",
  ],
  [
    "life: agents outlive a daemon that is killed",
    "kernel/proc/keeper.ts",
    'for g in $groups; do kill -s KILL -- "-$g"; done',
    "",
    KEEPER,
    "ends the process groups on its list",
  ],
  [
    "life: no limit is set",
    "kernel/proc/confine.ts",
    '["exec 2>&1", ...limits, ',
    '["exec 2>&1", ',
    OS,
  ],
  [
    "life: a log has no bound",
    "kernel/proc/log-file.ts",
    "    if (this.#size > 0 && this.#size + bytes.length > this.#most) await this.#rotate();\n",
    "",
    OS,
  ],
  [
    "life: PRESSURE is told with every call",
    "kernel/cap/rates/pressure.ts",
    "high.filter((use) => !before?.has(nameOf(use)))",
    "high.filter((use) => use !== undefined || before)",
    "kernel/cap/rates/pressure.test.ts",
  ],
  [
    "life: the tokens of a budget are nobody's",
    "kernel/cap/rates/rates.ts",
    "      if (used + more <= limit) continue;\n",
    "      if (used + more <= limit || budgets.length > 0) continue;\n",
    "kernel/cap/rates/rates.test.ts",
  ],
  [
    "life: a log that was rotated is not gone on with",
    "cli/follow.ts",
    "return (await inode(now)) !== (await inode(file));",
    "return (await inode(now)) === 0n && (await inode(file)) === 0n;",
    "cli/follow.test.ts",
  ],
  [
    "supervision: a drain starts again who dies",
    "kernel/main.ts",
    "procs.supervisor.endAll();",
    "",
    "test/e2e/kernel-hostile.test.ts",
  ],
  [
    "life: who took a session of his own stays",
    "kernel/proc/os-process.ts",
    "      if (mark !== undefined) stragglers.end(mark);\n",
    "",
    "kernel/proc/os-process.test.ts",
  ],
];

export const LIFE_MUTANTS = ROWS.map(([name, file, from, to, test, only]) => ({
  ...{ name, file, from, to, tests: [test] },
  ...(only && { only }),
}));

/** Guards of supervision and of teams' manifests. See mutants.mjs. */

const DECIDE = "kernel/proc/supervise/decide.test.ts";
const SUPERVISOR = "kernel/proc/supervise/supervisor.test.ts";
const MANIFEST = "cli/team/manifest.test.ts";
const E2E = "test/e2e/supervision.test.ts";

/** @type {readonly (readonly [name: string, file: string, from: string, to: string, test: string])[]} */
const ROWS = [
  [
    "supervision: who was asked to end has failed",
    "kernel/proc/supervise/decide.ts",
    "return !ASKED.has(cause);",
    "return cause !== '';",
    DECIDE,
  ],
  [
    "supervision: on-failure is always",
    "kernel/proc/supervise/decide.ts",
    '(policy === "on-failure" && isFailure(ended))',
    'policy === "on-failure"',
    DECIDE,
  ],
  [
    "supervision: a group never gives up",
    "kernel/proc/supervise/decide.ts",
    "if (recent.length >= intensity.max)",
    "if (recent.length > 1e6)",
    DECIDE,
  ],
  [
    "supervision: old restarts count for ever",
    "kernel/proc/supervise/decide.ts",
    "now - at < withinUs",
    "now - at < 1e15",
    DECIDE,
  ],
  [
    "supervision: the pause does not grow",
    "kernel/proc/supervise/decide.ts",
    "firstUs * 2 ** before",
    "firstUs",
    DECIDE,
  ],
  [
    "supervision: a neighbour's failures make one slow",
    "kernel/proc/supervise/decide.ts",
    "all || pid === ended.pid",
    "all || pid > 0n",
    DECIDE,
  ],
  [
    "supervision: a stopped member starts again",
    "kernel/proc/supervise/supervisor.ts",
    'member.doom?.next === "over" || group.ending',
    "group.ending",
    SUPERVISOR,
  ],
  [
    "supervision: all_for_one starts before all have ended",
    "kernel/proc/supervise/supervisor.ts",
    '    if (members.some(({ doom }) => doom?.next === "restart")) return;\n',
    "",
    SUPERVISOR,
  ],
  [
    "supervision: all_for_one ends who waits for its start",
    "kernel/proc/supervise/supervisor.ts",
    "      if (!hasRun(member)) {\n        this.#starts.cancel(pid);\n        continue;\n      }\n",
    "",
    SUPERVISOR,
  ],
  [
    "supervision: all_for_one starts each at a time of its own",
    "kernel/proc/supervise/supervisor.ts",
    'group.strategy === "all_for_one" ? this.#dueOf(group) : due;',
    "due;",
    SUPERVISOR,
  ],
  [
    "supervision: who waits for its restart is as one that lost its stream",
    "kernel/proc/ps.ts",
    "  if (between) {\n",
    "  if (between && pid < 0n) {\n",
    E2E,
  ],
  [
    "supervision: the ends of siblings count",
    "kernel/proc/supervise/supervisor.ts",
    "this.#again(group, member, this.#dueOf(group), false)",
    "this.#again(group, member, this.#dueOf(group), true)",
    SUPERVISOR,
  ],
  [
    "supervision: who does not listen is not killed",
    "kernel/proc/supervise/supervisor.ts",
    '    this.#kills.set(pid, graceUs, () => this.#runs.signal(pid, "KILL"));\n',
    "",
    SUPERVISOR,
  ],
  [
    "supervision: a stopped program is hung",
    "kernel/proc/supervise/supervisor.ts",
    "if (this.#runs.stopped(pid)) {",
    "if (pid < 0n) {",
    SUPERVISOR,
  ],
  [
    "supervision: a heartbeat is not heard",
    "kernel/proc/supervise/supervisor.ts",
    "if (watchdogUs > 0 && this.#dogs.has(pid)) this.#watch(pid, watchdogUs);",
    "",
    SUPERVISOR,
  ],
  [
    "supervision: who may not call for now is not heard",
    "kernel/trap.ts",
    "    if (row === SYSCALLS.heartbeat) this.kernel.procs.supervisor.pat(pid);\n",
    "",
    "kernel/proc/supervise/calls.test.ts",
  ],
  [
    "supervision: heartbeats are on somebody's account",
    "kernel/trap.ts",
    "if (row !== SYSCALLS.heartbeat) {",
    "if (row !== undefined) {",
    "kernel/proc/supervise/calls.test.ts",
  ],
  [
    "supervision: a run that was ended while it started is the next one's",
    "kernel/proc/start-program.ts",
    "now.tokenHash !== hash;",
    "now.tokenHash === '-';",
    "kernel/proc/start-program.test.ts",
  ],
  [
    "supervision: a released one starts again",
    "kernel/proc/supervise/supervisor.ts",
    '    this.#leave(found.group, found.member, { code: 137, cause: "" });\n',
    "",
    SUPERVISOR,
  ],
  [
    "supervision: what a run had leased is not given back",
    "kernel/ipc/mailboxes.ts",
    "const held = [...this.#leases].filter(([, lease]) => lease.pid === pid);",
    "const held = [...this.#leases].filter(([, lease]) => lease.pid < 0n && lease.pid === pid);",
    "kernel/ipc/run-over.test.ts",
  ],
  [
    "supervision: what a run had locked stays locked",
    "kernel/ipc/locks.ts",
    'if (lock?.type !== "lock" || lock.holder?.pid !== pid) continue;',
    "if (pid > 0n) continue;",
    "kernel/ipc/run-over.test.ts",
  ],
  [
    "supervision: a stranger spawns into a group",
    "kernel/proc/supervise/births.ts",
    "group.owner !== parent.pid",
    "group.owner < 0n",
    "kernel/proc/supervise/calls.test.ts",
  ],
  [
    "supervision: others' groups can be stopped",
    "kernel/proc/supervise/calls.ts",
    '  throughNamespace(askerOf(kernel, call), wanted, group.principal, "group");\n',
    "",
    "kernel/proc/supervise/calls.test.ts",
  ],
  [
    "teams: a circle of dependencies",
    "cli/team/check.ts",
    "if (from >= 0) {",
    "if (from > 1e6) {",
    MANIFEST,
  ],
  [
    "teams: anybody may be named",
    "cli/team/check.ts",
    "if (!names.includes(other)) {",
    "if (other === '') {",
    MANIFEST,
  ],
  [
    "teams: a missing key is shown at the file's beginning",
    "cli/team/places.ts",
    "return i > 0 ? this.keyAt(path.slice(0, i)) : found;",
    "return found;",
    MANIFEST,
  ],
  [
    "teams: a team that is being started can not be interrupted",
    "cli/commands/run-team.ts",
    "AbortSignal.any([interrupted, closed.signal])",
    "closed.signal",
    E2E,
  ],
  [
    "teams: what was started before a refusal runs on",
    "cli/team/start.ts",
    "    await group.stop({ graceMs: stop_grace });\n",
    "",
    E2E,
  ],
];

/** @type {readonly import("./mutants.d.mts").Mutant[]} */
export const TEAM_MUTANTS = ROWS.map(([name, file, from, to, test]) => {
  return { name, file, from, to, tests: [test] };
});

import { BETWEEN_MUTANTS } from "./mutants-between.mjs";
import { DOOR_MUTANTS } from "./mutants-doors.mjs";
import { DRAIN_MUTANTS } from "./mutants-drain.mjs";
import { ENGINE_MUTANTS } from "./mutants-engines.mjs";
import { EVICTION_MUTANTS } from "./mutants-eviction.mjs";
import { GUARD_MUTANTS } from "./mutants-guards.mjs";
import { INPUT_MUTANTS } from "./mutants-inputs.mjs";
import { IPC_MUTANTS } from "./mutants-ipc.mjs";
import { LIFE_MUTANTS } from "./mutants-life.mjs";
import { MODEL_MUTANTS } from "./mutants-models.mjs";
import { OVERFLOW_MUTANTS } from "./mutants-overflow.mjs";
import { PAGE_MUTANTS } from "./mutants-pages.mjs";
import { RIGHTS_MUTANTS } from "./mutants-rights.mjs";
import { SCHED_MUTANTS } from "./mutants-sched.mjs";
import { SEE_MUTANTS } from "./mutants-see.mjs";
import { TEAM_MUTANTS } from "./mutants-teams.mjs";
import { TLS_MUTANTS } from "./mutants-tls.mjs";

const FEED = ["kernel/mm/feed.test.ts", "test/sim/schedule.test.ts"];

const e2e = (subject) => [`test/e2e/kernel-${subject}.test.ts`];

/** @type {readonly import("./mutants.d.mts").Mutant[]} What a row means is said there. */
export const MUTANTS = [
  {
    name: "feed: a remainder of one may be left",
    file: "kernel/mm/feed.ts",
    from: "if (left - size !== 1) return size;",
    to: "return size;",
    tests: FEED,
  },
  {
    name: "feed: a token that entered by decode counts as prefilled",
    file: "kernel/mm/feed.ts",
    from: "if (keep === run.start + 1) keep = run.start;",
    to: "",
    tests: FEED,
  },
  {
    name: "feed: a run of one enters by prefill",
    file: "kernel/mm/feed.ts",
    from: 'const how = run.given && run.end - run.start >= 2 ? "prefill" : "decode";',
    to: 'const how = run.given ? "prefill" : "decode";',
    tests: FEED,
  },
  {
    name: "feed: generated tokens are rebuilt by prefill",
    file: "kernel/mm/feed.ts",
    from: 'const how = run.given && run.end - run.start >= 2 ? "prefill" : "decode";',
    to: 'const how = run.end - run.start >= 2 ? "prefill" : "decode";',
    tests: FEED,
  },
  {
    name: "scheduler: rebuilding counts as progress",
    file: "kernel/sched/scheduler.ts",
    from: "burst.quantumUsed += service.generated;",
    to: "burst.quantumUsed += 1;",
    tests: ["kernel/sched/scheduler.test.ts"],
  },
  {
    name: "placement: a former binding's tokens are taken",
    file: "kernel/mm/seating.ts",
    from: "    this.#bound.delete(binding.name);\n",
    to: "",
    tests: ["test/sim/schedule.test.ts"],
  },
  {
    name: "placement: a lost driver's slots count as full",
    file: "kernel/mm/place.ts",
    from: "    this.table.dropAll();\n",
    to: "",
    tests: ["test/sim/schedule.test.ts"],
  },
  {
    name: "trap: a name may be used twice",
    file: "kernel/trap.ts",
    from: "if (this.#seenBefore(live, process, syscall, digest)) return;",
    to: "",
    tests: e2e("calls"),
    only: "a call's name",
  },
  {
    name: "trap: the same name with another payload passes",
    file: "kernel/trap.ts",
    from: "if (first !== (digest || payloadDigest(syscall))) {",
    to: "if (false) {",
    tests: e2e("calls"),
    only: "a call's name",
  },
  {
    name: "trap: an acknowledged name may be used again",
    file: "kernel/trap.ts",
    from: 'if (digest === "" || (seq > process.lastSeq && seq > live.lastSeq)) return false;',
    to: "return false;",
    tests: e2e("calls"),
    only: "a call's name",
  },
  {
    name: "tokens: every token is right",
    file: "kernel/cap/tokens.ts",
    from: "return a.length === b.length && timingSafeEqual(a, b);",
    to: "return true;",
    tests: e2e("refusals"),
    only: "a token",
  },
  {
    name: "tokens: a spawned agent's token is good for ever",
    file: "kernel/proc/processes.ts",
    from: 'run, tokenHash: "", resumeHash });',
    to: "run, tokenHash: process.tokenHash, resumeHash });",
    tests: e2e("refusals"),
    only: "a token",
  },
  {
    name: "unary: no token is asked for",
    file: "kernel/doors/authenticate.ts",
    from: "    if (tokenMatches(token, this.#adminHash)) {",
    to: '    if (token === "" || tokenMatches(token, this.#adminHash)) {',
    tests: e2e("refusals"),
    only: "a token",
  },
  {
    name: "door: strings need not be UTF-8",
    file: "kernel/doors/strict.ts",
    from: "return super.string(true);",
    to: "return super.string(false);",
    tests: e2e("refusals"),
    only: "bad input",
  },
  {
    name: "window: nothing is too long",
    file: "kernel/mm/overflow/pager.ts",
    from: "const fits = length + 1 <= window;",
    to: "const fits = true;",
    tests: e2e("refusals"),
    only: "bad input",
  },
  {
    name: "stop strings of any length",
    file: "kernel/sched/generate-args.ts",
    from: "if (stop.length > stopLength) {",
    to: "if (false) {",
    tests: e2e("refusals"),
    only: "bad input",
  },
  {
    name: "flow control: a slow reader keeps his slot",
    file: "kernel/sched/chunk-stream.ts",
    from: "return this.#attached && this.#credit > 0;",
    to: "return true;",
    tests: e2e("calls"),
    only: "a crowd",
  },
  {
    name: "home: two daemons share it",
    file: "kernel/home.ts",
    from: "  const lock = await takeLock(path, socket);",
    to: "  const lock = createServer();\n  void takeLock;",
    tests: e2e("daemon"),
    only: "keeps its home",
  },
  {
    name: "driver: its death is the end",
    file: "kernel/drivers/llm.ts",
    from: "    this.#restart(reason);\n",
    to: "",
    tests: e2e("processes"),
    only: "what may be killed",
  },
  {
    name: "cancel: the burst runs on",
    file: "kernel/sched/generate.ts",
    from: "    call.onEnd((error) => this.#stop(error));\n",
    to: "",
    tests: e2e("calls"),
    only: "cancel and deadline",
  },
  {
    name: "shutdown: agents are left behind",
    file: "kernel/main.ts",
    from: "  await procs.endAll(AGENT_GRACE_US);\n",
    to: "",
    tests: e2e("processes"),
    only: "processes",
  },
  {
    name: "door: who does not read is read on",
    file: "kernel/doors/session.ts",
    from: "    this.#behind = true;\n    this.#pipe.pause();\n",
    to: "",
    tests: e2e("calls"),
    only: "a flood",
  },
  {
    name: "guard: texts wait without bound",
    file: "kernel/drivers/texts.ts",
    from: "this.#waiting + cost > WAITING_CHARACTERS",
    to: "false",
    tests: ["kernel/drivers/texts.test.ts"],
  },
  {
    name: "guard: a text may kill driver after driver",
    file: "kernel/drivers/texts.ts",
    from: "if (pending.drivers >= DRIVERS) {",
    to: "if (false) {",
    tests: ["kernel/drivers/texts.test.ts"],
  },
  {
    name: "guard: the end of an old plan stops the watch over the new one",
    file: "kernel/drivers/llm.ts",
    from: "else if (msg.value.plan === this.#activePlan) this.#cancelWatch();",
    to: "else this.#cancelWatch();",
    tests: ["kernel/drivers/llm.test.ts"],
  },
  {
    name: "guard: contexts go on under another engine",
    file: "kernel/drivers/llm.ts",
    from: "if (!sameEngine(this.#engine, ready)) {",
    to: "if (false) {",
    tests: ["kernel/drivers/llm.test.ts"],
  },
  {
    name: "guard: a waiter waits on for a child that another took",
    file: "kernel/proc/waiters.ts",
    from: "      waiter.failed(noChild(waiter));\n",
    to: "",
    tests: ["kernel/proc/waiters.test.ts"],
  },
  {
    name: "guard: a waiter hears of a program that could not be started",
    file: "kernel/proc/processes.ts",
    from: "    if (pid !== this.#unheard) this.#waiters.over(process);\n",
    to: "    this.#waiters.over(process);\n",
    tests: ["kernel/proc/processes.test.ts"],
  },
  {
    name: "guard: a program that starts too late runs on",
    file: "kernel/proc/processes.ts",
    from: '    if (!process || process.exit) {\n      os.signal("SIGKILL");\n      return;\n    }\n',
    to: "",
    tests: ["kernel/proc/processes.test.ts"],
  },
  {
    name: "guard: agents may lock the operator out",
    file: "kernel/proc/processes.ts",
    from: "of.spawned ? 0 : RESERVE",
    to: "0",
    tests: ["kernel/proc/processes.test.ts"],
  },
  {
    name: "guard: the books of the reaped stay",
    file: "kernel/proc/processes.ts",
    from: "    this.#kernel.accounts.drop(pid);\n",
    to: "",
    tests: ["kernel/proc/processes.test.ts"],
  },
  {
    name: "guard: what an agent left behind runs on",
    file: "kernel/proc/os-process.ts",
    from: '      signalGroup(osPid, "SIGKILL");\n',
    to: "",
    tests: ["kernel/proc/os-process.test.ts"],
  },
  {
    name: "guard: a shared directory is closed to its users",
    file: "kernel/home.ts",
    from: "if (stranger !== undefined) {",
    to: "if (false) {",
    tests: ["kernel/home.test.ts"],
  },
  {
    name: "guard: acknowledged results are kept",
    file: "kernel/journal/state.ts",
    from: "if (process.exit || record.seq <= process.ackedThrough) return;",
    to: "",
    tests: ["kernel/journal/state.test.ts"],
  },
  ...PAGE_MUTANTS,
  ...ENGINE_MUTANTS,
  ...EVICTION_MUTANTS,
  ...MODEL_MUTANTS,
  ...OVERFLOW_MUTANTS,
  ...RIGHTS_MUTANTS,
  ...SCHED_MUTANTS,
  ...SEE_MUTANTS,
  ...GUARD_MUTANTS,
  ...INPUT_MUTANTS,
  ...BETWEEN_MUTANTS,
  ...IPC_MUTANTS,
  ...DOOR_MUTANTS,
  ...TLS_MUTANTS,
  ...LIFE_MUTANTS,
  ...TEAM_MUTANTS,
  ...DRAIN_MUTANTS,
];

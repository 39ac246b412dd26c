/**
 * The goals, in one place. `bench check` reads the newest kept report of each suite and
 * holds its figures against these rows.
 */
import type { SuiteName } from "./harness/report.js";

export interface Goal {
  readonly suite: SuiteName;
  /** The id of a figure in that suite's report. */
  readonly figure: string;
  readonly comparison: "at least" | "at most" | "below";
  readonly goal: number;
  readonly unit: string;
  /** What it means, in words. */
  readonly means: string;
}

const LLAMA = "× llama.cpp";

/** @param figure of the suite "engine" */
function ratio(figure: string, goal: number, unit: string, means: string): Goal {
  return { suite: "engine", figure, comparison: "at least", goal, unit, means };
}

function exactly0(suite: SuiteName, figure: string, unit: string, means: string): Goal {
  return { suite, figure, comparison: "at most", goal: 0, unit, means };
}

const ENGINE: readonly Goal[] = [
  ratio("rows1.ctx64.ratio.step", 1.4, LLAMA, "1 row at context 64, its median step, same GGUF"),
  ratio("rows1.ctx512.ratio.step", 1.25, LLAMA, "1 row at context 512, its median step, same GGUF"),
  ...[8, 16].flatMap((rows) => [
    ratio(`rows${rows}.ctx64.ratio`, 3.5, LLAMA, `${rows} rows at context 64, same GGUF`),
    ratio(`rows${rows}.ctx512.ratio`, 2.5, LLAMA, `${rows} rows at 512, fp32 KV, same GGUF`),
    ratio(`rows${rows}.ctx512.ratio.int8kv`, 3, LLAMA, `${rows} rows at 512, int8 KV, same GGUF`),
    ...[64, 512].map((context) =>
      ratio(
        `rows${rows}.ctx${context}.ratio.bestFormat`,
        1.6,
        LLAMA,
        `${rows} rows at ${context}, its best format of these weights`,
      ),
    ),
  ]),
  ratio("rows8.ctx64.ratio.free", 2.5, LLAMA, "8 rows at 64, one loop of evaluate a sequence"),
  ratio("prefill512.ratio", 3, LLAMA, "prefill of 512, same GGUF"),
  ratio("prefill512.ratio.bestFormat", 1.4, LLAMA, "prefill of 512, its best format"),
  ratio("rows1.ctx64.hub.ratio", 2, "× transformers", "1 row, @huggingface/transformers"),
  ratio("rows16.ctx64.hub.ratio", 3, "× transformers", "16 rows, @huggingface/transformers"),
  ratio("rows8.ctx512.hub.ratio", 6, "× transformers", "8 rows at 512, @huggingface/transformers"),
  {
    suite: "engine",
    figure: "rows1.ctx64.overBandwidth",
    comparison: "at most",
    goal: 1.5,
    unit: "× reading all once",
    means: "one row's median step against (weight + KV bytes) / memory bandwidth",
  },
];

const STEP: readonly Goal[] = ["greedy", "top40"].map((sampling) => ({
  suite: "step",
  figure: `${sampling}.share`,
  comparison: "at most",
  goal: 0.08,
  unit: "of a step",
  means: `a step's time outside ONNX Runtime at 16 rows, ${sampling}, messages included`,
}));

const QUALITY: readonly Goal[] = [
  {
    suite: "quality",
    figure: "nll.difference",
    comparison: "at most",
    goal: 0.01,
    unit: "nats/token",
    means: "mean negative log-likelihood over the fp32 graph",
  },
  {
    suite: "quality",
    figure: "top1",
    comparison: "at least",
    goal: 0.94,
    unit: "of positions",
    means: "the same likeliest token as the fp32 graph",
  },
  {
    suite: "quality",
    figure: "positions",
    comparison: "at least",
    goal: 4000,
    unit: "positions",
    means: "positions that the two above were measured on",
  },
];

const SOAK: readonly Goal[] = [1, 2].flatMap((threads): Goal[] => [
  {
    suite: "soak",
    figure: `threads${threads}.minutes`,
    comparison: "at least",
    goal: 10,
    unit: "minutes",
    means: `soak at ${threads} intra-op thread(s): how long`,
  },
  exactly0(
    "soak",
    `threads${threads}.crashes`,
    "crashes",
    `soak at ${threads}: ends of the driver`,
  ),
  exactly0("soak", `threads${threads}.wrong`, "answers", `soak at ${threads}: wrong bytes`),
  {
    suite: "soak",
    figure: `threads${threads}.growth`,
    comparison: "at most",
    goal: 32,
    unit: "MiB",
    means: `soak at ${threads}: resident memory, last quarter over second`,
  },
  exactly0(
    "soak",
    `threads${threads}.handles`,
    "descriptors",
    `soak at ${threads}: more at the end`,
  ),
]);

/** The rows of one suite. */
function rowsOf(suite: SuiteName) {
  return (
    figure: string,
    comparison: Goal["comparison"],
    goal: number,
    unit: string,
    means: string,
  ): Goal => ({ suite, figure, comparison, goal, unit, means });
}

const pages = rowsOf("pages");
/** `npm run sim -- --record` */
const sim = rowsOf("sim");

const PAGES: readonly Goal[] = [
  pages("prefix.ratio", "at most", 1 / 15, "of computing", "first token of 512 tokens found"),
  ...["fp32", "int8"].flatMap((kv) => [
    pages(`${kv}.pageIn.ratio`, "at most", 1.5, "× memcpy", `512 tokens from RAM, ${kv} KV`),
    pages(
      `${kv}.swapIn.ratio`,
      "at most",
      1.5,
      "× read, check, copy",
      `512 tokens from swap, ${kv} KV`,
    ),
    pages(`${kv}.load.rate`, "at least", 1, "× llama.cpp's B/s", `load a sequence, ${kv} KV`),
    pages(`${kv}.save.rate`, "at least", 1, "× llama.cpp's B/s", `save a sequence, ${kv} KV`),
  ]),
  pages("int8.load.time", "below", 1, "× llama.cpp's time", "load 512 tokens, int8 KV"),
  pages("int8.save.time", "below", 1, "× llama.cpp's time", "save 512 tokens, int8 KV"),
  pages("sharing.tokens.gain", "at least", 0.9, "of the bound's", "64 agents: tokens computed"),
  pages("sharing.time.gain", "at least", 0.9, "of the bound's", "64 agents: end to end"),
  pages(
    "memory.beside",
    "below",
    250,
    "MiB",
    "kernel and driver at work, without weights and pools",
  ),
];

const syscalls = rowsOf("syscalls");
const messages = rowsOf("messages");
const malformed = rowsOf("malformed");

const CALLS: readonly Goal[] = [
  syscalls("null.p50.ratio", "at most", 1.5, "× bare echo", "a null call's p50, gRPC, one agent"),
  syscalls("nats.null.p50.ratio", "at most", 1.5, "× bare echo", "the same over NATS"),
  syscalls("change.share", "at least", 0.6, "of bare echo's rate", "64 agents, audited changes"),
  syscalls("null.share", "at least", 0.6, "of bare echo's rate", "64 agents, null calls"),
  syscalls("decode.null.p99", "at most", 5, "ms", "a null call's p99 while 16 rows decode"),
  syscalls("decode.cost", "at most", 0.1, "of tokens/s", "what 500 calls/s cost 16 rows"),
  messages("agents64.ratio", "at most", 1.2, "× the model alone", "64 agents, 3 calls, 2 messages"),
  messages("agents250.ratio", "at most", 1.5, "× the model alone", "250 agents, the same"),
  exactly0("messages", "agents64.lost", "messages", "64 agents: lost, twice, or out of order"),
  exactly0("messages", "agents250.lost", "messages", "250 agents: lost, twice, or out of order"),
  ...["unix", "tcp", "nats", "http"].map((door) =>
    malformed(
      `${door}.ratio`,
      "at most",
      1.5,
      "× quiet p99",
      `another agent's null call, malformed frames by ${door}`,
    ),
  ),
];

const SIM: readonly Goal[] = [
  sim("agents.ofOptimum", "at least", 0.85, "of the optimum's hits", "agent, least agent row"),
  sim("all.ofOptimum", "at least", 0.85, "of the optimum's hits", "agent, least row of any trace"),
  sim("agents.overLru", "at least", 1.0001, "× lru's hits", "agent, least agent trace, all sizes"),
  sim("all.overLru", "at least", 1, "× lru's hits", "agent, least row of any trace"),
  sim("bookkeeping.1000", "below", 5, "µs of CPU", "a page operation at 1,000 pages"),
  sim("bookkeeping.100000", "below", 5, "µs of CPU", "a page operation at 100,000 pages"),
  sim("bookkeeping.growth", "at most", 2, "×", "the same, 100,000 pages against 1,000"),
];

const decisions = rowsOf("sched-decisions");
/** From 10 to 100,000 a logarithm grows fivefold; a heap that falls out of the caches more. */
const DECISIONS: readonly Goal[] = ["fifo", "rr", "priority", "mlfq", "program", "fair"].flatMap(
  (policy) => [
    decisions(
      `${policy}.10000`,
      "below",
      100,
      "µs of CPU",
      `a decision of ${policy}, 10,000 bursts`,
    ),
    decisions(`${policy}.growth`, "at most", 5, "×", `${policy}, 100,000 bursts against 10`),
  ],
);

const schedSim = rowsOf("sched-sim");
const schedReal = rowsOf("sched-real");
const schedFair = rowsOf("sched-fair");
const schedLatency = rowsOf("sched-latency");
const schedCrowd = rowsOf("sched-crowd");

/** `npm run sim -- sched --record`, and the suites on the real engine. */
const SCHED: readonly Goal[] = [
  schedSim("program.gain", "at least", 0.8, "of srpt's gain", "program: mean response, all loads"),
  schedSim("program.p99OverRr.all", "at most", 1, "× rr's p99", "program: p99 response, all loads"),
  schedSim("crowd.seconds", "below", 60, "s", "10,000 agents and a million decisions"),
  schedSim("crowd.decisions", "at least", 1e6, "decisions", "how many those were"),
  schedLatency("wait.gain", "at least", 10, "× shorter", "20 tokens behind 1,500: p99 wait, rr"),
  schedLatency("tokens.share", "at least", 0.9, "of fifo's tokens/s", "and all tokens, rr"),
  schedFair("others.p99.ratio", "at most", 1.5, "× without it", "others beside a greedy principal"),
  schedFair("jain", "at least", 0.99, "Jain's index", "tokens of principals, all backlogged"),
  schedReal("makespan.error", "at most", 0.15, "of the real one", "simulated makespan, 64 agents"),
  schedReal("response.error", "at most", 0.15, "of the real one", "simulated mean response"),
  exactly0("sched-crowd", "lost", "calls", "250 agent processes: calls without an answer"),
  exactly0("sched-crowd", "short", "tokens", "250 agent processes: tokens that answers lack"),
  exactly0("sched-crowd", "doubled", "tokens", "250 agent processes: tokens made twice"),
  schedCrowd("kernel.memory", "below", 400, "MiB", "250 agent processes: the kernel's memory"),
];

export const GOALS: readonly Goal[] = [
  ...ENGINE,
  ...STEP,
  ...PAGES,
  ...CALLS,
  ...SIM,
  ...DECISIONS,
  ...QUALITY,
  {
    suite: "kernel",
    figure: "agents.share",
    comparison: "at least",
    goal: 0.9,
    unit: "of the bare driver's tokens/s",
    means: "16 agents in 16 processes through the kernel, streaming",
  },
  ...SOAK,
  ...SCHED,
  {
    suite: "startup",
    figure: "ready",
    comparison: "below",
    goal: 2,
    unit: "s",
    means: "daemon start to SERVING, model compiled and in the page cache",
  },
];

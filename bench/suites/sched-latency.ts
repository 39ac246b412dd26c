/**
 * Short calls behind long ones, on the real engine: `rr` against `fifo`, in turns.
 *
 * Long bursts, several times as many as there are slots, are asked at once; while they
 * last short calls come one after the other. What is compared is how long the short ones
 * waited for a slot, and how many tokens a second there were in all.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Os } from "../../syscalls/index.js";
import { alternate } from "../harness/alternate.js";
import { type Daemon, startDaemon } from "../harness/daemon.js";
import { type Figure, figure } from "../harness/report.js";
import { pairedRatio } from "../harness/stats.js";
import { evaluationText, passages } from "../harness/texts.js";
import { quantile } from "../sim/sched/metrics.js";
import { compiledModel } from "./model.js";
import { type SuiteResult, say } from "./suite.js";

export interface SchedLatencyOptions {
  readonly model: string;
  readonly slots: number;
  /** Long bursts, and tokens of each. */
  readonly longs: number;
  readonly longTokens: number;
  readonly shortTokens: number;
  /** From one short call to the next, milliseconds. */
  readonly everyMs: number;
  readonly rounds: number;
  readonly threads: number;
  readonly seed: number;
}

interface Run {
  /** Of each short call, milliseconds without a slot. */
  readonly waitsMs: readonly number[];
  readonly tokens: number;
  readonly seconds: number;
}

const POLICIES = ["fifo", "rr"] as const;
const SLOT_TOKENS = 2048;
const WORDS = 40;

export async function schedLatency(options: SchedLatencyOptions): Promise<SuiteResult> {
  const { model, slots, longs, longTokens, shortTokens, everyMs, rounds, threads, seed } = options;
  await compiledModel(model);
  const prompts = passages(await evaluationText("tom-sawyer"), longs + 1, WORDS, seed);
  await using fifo = await daemonOf("fifo", options);
  await using rr = await daemonOf("rr", options);
  const daemons = { fifo, rr };
  const sides = POLICIES.map((name) => ({
    name,
    // The first time warms the code: little of it is enough.
    run: (round: number) => once(daemons[name], prompts, round < 0 ? warming(options) : options),
  }));
  const runs = await alternate<Run>(rounds, sides, (side, round, run) =>
    say(
      `round ${round + 1}: ${side} p99 wait ${p99(run).toFixed(0)} ms, ${speed(run).toFixed(1)} tok/s`,
    ),
  );
  const parameters = {
    model,
    slots,
    longs,
    longTokens,
    shortTokens,
    everyMs,
    rounds,
    threads,
    seed,
  };
  return { parameters, figures: figuresOf(runs), notes: NOTES };
}

const NOTES = [
  "wait.gain: the p99 of the short calls' time without a slot under fifo over that under rr, round by round; " +
    "tokens.share: all tokens a second under rr over fifo's, from the first call to the last answer.",
];

function daemonOf(policy: string, { model, slots, threads }: SchedLatencyOptions): Promise<Daemon> {
  const settings = { model, policy, slots, threads, "slot-tokens": SLOT_TOKENS };
  return startDaemon(
    Object.entries(settings).flatMap(([flag, value]) => [`--${flag}`, `${value}`]),
  );
}

function warming(options: SchedLatencyOptions): SchedLatencyOptions {
  return { ...options, longs: options.slots, longTokens: 20, everyMs: 50 };
}

async function once(
  daemon: Daemon,
  prompts: readonly string[],
  { longs, longTokens, shortTokens, everyMs }: SchedLatencyOptions,
): Promise<Run> {
  await using os = await connect({ home: daemon.home, name: "long" });
  await using asker = await connect({ home: daemon.home, name: "short" });
  const start = performance.now();
  let left = longs;
  const works = prompts.slice(0, longs).map(async (prompt) => {
    const { usage } = await ask(os, prompt, longTokens);
    left--;
    return usage.generatedTokens;
  });
  const shorts: Promise<{ readonly waitMs: number; readonly tokens: number }>[] = [];
  while (left > 0) {
    await sleep(everyMs);
    shorts.push(short(asker, prompts.at(-1) ?? "", shortTokens));
  }
  const [long, answered] = [await Promise.all(works), await Promise.all(shorts)];
  const seconds = (performance.now() - start) / 1000;
  const tokens = [...long, ...answered.map(({ tokens }) => tokens)].reduce((a, b) => a + b, 0);
  return { waitsMs: answered.map(({ waitMs }) => waitMs), tokens, seconds };
}

async function short(os: Os, prompt: string, maxTokens: number) {
  const { usage } = await ask(os, prompt, maxTokens);
  return { waitMs: usage.queuedMs, tokens: usage.generatedTokens };
}

function ask(os: Os, prompt: string, maxTokens: number) {
  return os.llm.generate(prompt, { maxTokens, temperature: 0, ignoreEos: true });
}

function figuresOf(runs: ReadonlyMap<string, readonly Run[]>): Figure[] {
  const of = (side: string, pick: (run: Run) => number): number[] =>
    (runs.get(side) ?? []).map(pick);
  return [
    figure("wait.gain", "× shorter p99 wait", pairedRatio(of("fifo", p99), of("rr", p99))),
    figure("tokens.share", "of fifo's tokens/s", pairedRatio(of("rr", speed), of("fifo", speed))),
    ...POLICIES.flatMap((side) => [
      figure(`${side}.p99Wait`, "ms", of(side, p99)),
      figure(`${side}.tokens`, "tok/s", of(side, speed)),
      figure(
        `${side}.shorts`,
        "calls",
        of(side, ({ waitsMs }) => waitsMs.length),
      ),
    ]),
  ];
}

/** A wait of nothing would make a ratio of infinity: no less than a step counts. */
const p99 = ({ waitsMs }: Run): number => Math.max(1, quantile(waitsMs, 0.99));
const speed = ({ tokens, seconds }: Run): number => tokens / seconds;

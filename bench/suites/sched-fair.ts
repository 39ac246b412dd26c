/**
 * One principal among ten offers twenty times what each of the others does, on the real
 * engine under `fair`: what the others notice of it, with it and without it in turns; and
 * how evenly tokens go to principals that all have more to ask than they get.
 *
 * What is offered is a share of what the engine can: that is measured first, with all of
 * them backlogged. Then each of the others offers SHARE of it, at random times, and so the
 * greedy one alone offers 20 × SHARE.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Os, SyscallError } from "../../syscalls/index.js";
import { alternate } from "../harness/alternate.js";
import { type Daemon, startDaemon } from "../harness/daemon.js";
import { random } from "../harness/random.js";
import { type Figure, figure } from "../harness/report.js";
import { pairedRatio } from "../harness/stats.js";
import { evaluationText, passages } from "../harness/texts.js";
import { Dice } from "../sim/dice.js";
import { jain, quantile } from "../sim/sched/metrics.js";
import { compiledModel } from "./model.js";
import { type SuiteResult, say } from "./suite.js";

export interface SchedFairOptions {
  readonly model: string;
  readonly slots: number;
  readonly others: number;
  readonly tokens: number;
  /** Of a run. */
  readonly seconds: number;
  readonly rounds: number;
  readonly threads: number;
  readonly seed: number;
}

/** Of the capacity, that each of the others offers; and the greedy one so many times that. */
const SHARE = 0.04;
const GREED = 20;
/** Calls that are out at once when all are backlogged: of each, and of the greedy one. */
const BACKLOG = 4;
const WORDS = 30;

type Run = readonly number[];

export async function schedFair(options: SchedFairOptions): Promise<SuiteResult> {
  const { model, slots, others, tokens, seconds, rounds, threads, seed } = options;
  await compiledModel(model);
  const [prompt = ""] = passages(await evaluationText("tom-sawyer"), 1, WORDS, seed);
  await using daemon = await startDaemon(flags(options));
  await using party = await Party.gather(daemon, others + 1);
  const work = { prompt, tokens, seconds, seed };
  const backlogged = await party.backlogged(work);
  const capacity = backlogged.reduce((sum, each) => sum + each, 0) / seconds;
  say(`all backlogged: ${capacity.toFixed(1)} tok/s, Jain ${jain(backlogged).toFixed(4)}`);
  const everyMs = (1000 * tokens) / (capacity * SHARE);
  const sides = [false, true].map((greedy) => ({
    name: greedy ? "with" : "without",
    run: (round: number) => party.open({ ...work, seed: seed + round }, everyMs, greedy),
  }));
  const runs = await alternate<Run>(rounds, sides, (side, round, run) =>
    say(`round ${round + 1}: ${side} it p99 ${p99(run).toFixed(0)} ms of ${run.length} calls`),
  );
  const parameters = { model, slots, others, tokens, seconds, rounds, threads, seed };
  const figures = [
    figure("jain", "Jain's index", [jain(backlogged)]),
    figure("capacity", "tok/s", [capacity]),
    ...figuresOf(runs),
  ];
  return { parameters, figures, notes: NOTES };
}

const NOTES = [
  `others.p99.ratio: p99 of the others' responses while one principal offers ${GREED} times what each of them does, over ` +
    `that without it, round by round. Each of them offers ${SHARE * 100} % of what the engine does when all are backlogged. ` +
    "jain: of the tokens that each principal got in that time.",
];

function flags({ model, slots, threads }: SchedFairOptions): string[] {
  const settings = { model, policy: "fair", slots, threads, "slot-tokens": 512 };
  return Object.entries(settings).flatMap(([flag, value]) => [`--${flag}`, `${value}`]);
}

function figuresOf(runs: ReadonlyMap<string, readonly Run[]>): Figure[] {
  const of = (side: string): number[] => (runs.get(side) ?? []).map(p99);
  return [
    figure("others.p99.ratio", "× without it", pairedRatio(of("with"), of("without"))),
    figure("with.p99", "ms", of("with")),
    figure("without.p99", "ms", of("without")),
  ];
}

const p99 = (run: Run): number => quantile(run, 0.99);

interface Work {
  readonly prompt: string;
  readonly tokens: number;
  readonly seconds: number;
  readonly seed: number;
}

/** A process of each principal; the first is the greedy one. */
class Party implements AsyncDisposable {
  readonly #members: readonly Os[];

  private constructor(members: readonly Os[]) {
    this.#members = members;
  }

  static async gather(daemon: Daemon, count: number): Promise<Party> {
    await using admin = await connect({ home: daemon.home, name: "bench" });
    const members: Os[] = [];
    for (let i = 0; i < count; i++) {
      await admin.principals.add(`principal-${i}`);
      const { key } = await admin.principals.addKey(`principal-${i}`);
      members.push(await connect({ home: daemon.home, token: key, name: `member-${i}` }));
    }
    return new Party(members);
  }

  /** All ask more than they get. @returns the tokens of each in that time */
  async backlogged({ prompt, tokens, seconds }: Work): Promise<number[]> {
    const end = performance.now() + seconds * 1000;
    const counts = this.#members.map(() => 0);
    const lines = this.#members.flatMap((os, i) =>
      Array.from({ length: i === 0 ? 2 * BACKLOG : BACKLOG }, async () => {
        while (performance.now() < end) {
          // Not in one expression: the sum would be of before the wait, and other lines' be lost.
          const more = await tokensUntil(end, os, prompt, tokens);
          counts[i] = (counts[i] ?? 0) + more;
        }
      }),
    );
    await Promise.all(lines);
    return counts;
  }

  /** Each asks at random times. @returns how long the others' calls took, milliseconds */
  async open({ seed, ...work }: Work, everyMs: number, greedy: boolean): Promise<Run> {
    const end = performance.now() + work.seconds * 1000;
    const lines = this.#members.map((os, i) => {
      const mean = i === 0 ? everyMs / GREED : everyMs;
      const dice = new Dice(random(seed * 1000 + i));
      return i === 0 && !greedy ? [] : calls(os, work, { mean, end, dice });
    });
    const [, ...others] = await Promise.all(lines);
    return others.flat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map((os) => os.close()));
  }
}

interface Pace {
  readonly mean: number;
  readonly end: number;
  readonly dice: Dice;
}

async function calls(
  os: Os,
  { prompt, tokens }: Omit<Work, "seed">,
  { mean, end, dice }: Pace,
): Promise<number[]> {
  const answers: Promise<number | undefined>[] = [];
  while (performance.now() < end) {
    await sleep(dice.exponential(mean));
    answers.push(timed(os, prompt, tokens));
  }
  return (await Promise.all(answers)).filter((ms) => ms !== undefined);
}

/** @returns undefined when the kernel had no room for it: that is the greedy one's lot */
async function timed(os: Os, prompt: string, maxTokens: number): Promise<number | undefined> {
  const start = performance.now();
  try {
    await os.llm.generate(prompt, { maxTokens, temperature: 0, ignoreEos: true });
    return performance.now() - start;
  } catch (error) {
    if (error instanceof SyscallError && error.code === "EAGAIN") return undefined;
    throw error;
  }
}

/** How many of a call's tokens came before `end`: its text says which part of them. */
async function tokensUntil(end: number, os: Os, prompt: string, tokens: number): Promise<number> {
  let [before, all] = [0, 0];
  const ask = { maxTokens: tokens, temperature: 0, ignoreEos: true };
  for await (const text of os.llm.generate(prompt, ask)) {
    all += text.length;
    if (performance.now() < end) before += text.length;
  }
  return all === 0 ? 0 : (tokens * before) / all;
}

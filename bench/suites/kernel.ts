/**
 * What the kernel costs: agents in processes of their own, through the daemon, against the bare
 * driver on the same prompts, in turns.
 *
 * The bare driver gets one plan for everything and nobody answers it, so it is what any kernel
 * could reach at best: same chunks, same rows, no process but the driver. The agents are spawned
 * and attached before; a run goes from the moment they are told their prompts until the last has
 * reported, prompts included, tokenizing included.
 */

import { createHash } from "node:crypto";
import { PLAIN_DRIVER } from "../../proto/plain-driver.js";
import { alternate } from "../harness/alternate.js";
import { startDaemon } from "../harness/daemon.js";
import { type BareDriver, startDriver } from "../harness/driver.js";
import { wholePlan } from "../harness/plans.js";
import { type Figure, figure } from "../harness/report.js";
import { inCheckout } from "../harness/root.js";
import { pairedRatio } from "../harness/stats.js";
import { evaluationText, passages } from "../harness/texts.js";
import { AgentGroup, type GroupRun } from "./agent-group.js";
import { compiledModel } from "./model.js";
import { type SuiteResult, say } from "./suite.js";

export interface KernelOptions {
  readonly model: string;
  readonly agents: number;
  /** Words of each prompt. */
  readonly words: number;
  /** Generated tokens of each agent. */
  readonly tokens: number;
  readonly slotTokens: number;
  readonly rounds: number;
  readonly threads: number;
  readonly seed: number;
}

/** The bare driver's run has what it shares with the agents'. */
type Run = Pick<GroupRun, "seconds" | "tokens" | "digests"> & Partial<GroupRun>;

export async function kernel(options: KernelOptions): Promise<SuiteResult> {
  const { model, agents, words, tokens, slotTokens, rounds, threads, seed } = options;
  const prompts = passages(await evaluationText("tom-sawyer"), agents, words, seed);
  await using driver = await startDriver(inCheckout("dist", "servers", "llm", "main.js"), {
    model: await compiledModel(model),
    slots: agents,
    slotTokens,
    threads,
    options: "",
    ...PLAIN_DRIVER,
  });
  const encoded = await Promise.all(prompts.map((prompt) => driver.client.encode(prompt)));
  // The bare driver computes every prompt anew in every round, and so must the kernel.
  const nothingFound = { CONTIX_PAGE_MEMORY: "0" };
  await using daemon = await startDaemon(daemonFlags(options), nothingFound);
  await using group = await AgentGroup.start(daemon, agents);
  const runs = await alternate<Run>(
    rounds,
    [
      { name: "bare", run: () => bareRun(driver, encoded, tokens) },
      ...(["stream", "reply"] as const).map((how) => ({
        name: how,
        run: () => group.run({ prompts, maxTokens: tokens, stream: how === "stream" }),
      })),
    ],
    (side, round, run) => say(`round ${round + 1}: ${side} ${speed(run).toFixed(1)} tok/s`),
  );
  const parameters = { model, agents, words, tokens, slotTokens, rounds, threads, seed };
  return { parameters, figures: figuresOf(runs), notes: NOTES };
}

const NOTES = [
  "tok/s: generated tokens over the time from the first prompt to the last answer. agents.share: the agents that stream " +
    "their tokens over the bare driver, round by round; reply.share: agents that wait for the whole answer. " +
    "sameAnswers: the share of agents whose tokens are those of the bare driver; law 2 says 1.",
];

function daemonFlags({ model, agents, slotTokens, threads }: KernelOptions): string[] {
  const settings = { model, slots: agents, "slot-tokens": slotTokens, threads };
  return Object.entries(settings).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
}

let nextBurst = 1n;

async function bareRun(driver: BareDriver, prompts: number[][], tokens: number): Promise<Run> {
  const { chunkTokens: chunk } = driver.ready;
  const firstBurst = nextBurst;
  nextBurst += BigInt(prompts.length);
  const start = performance.now();
  const outcomes = await driver.client.run(wholePlan({ prompts, tokens, chunk, firstBurst }));
  const seconds = (performance.now() - start) / 1000;
  const answers: number[][] = prompts.map(() => []);
  for (const { outcome } of outcomes) {
    for (const { slot, sampled } of outcome.rows) answers[slot]?.push(...sampled);
  }
  return {
    seconds,
    tokens: answers.reduce((sum, answer) => sum + answer.length, 0),
    digests: answers.map((answer) => createHash("sha256").update(answer.join()).digest("hex")),
  };
}

function figuresOf(runs: ReadonlyMap<string, readonly Run[]>): Figure[] {
  const of = (side: string): readonly Run[] => runs.get(side) ?? [];
  const speeds = (side: string): number[] => of(side).map(speed);
  const figures = [
    figure("agents.share", "of bare", pairedRatio(speeds("stream"), speeds("bare"))),
    figure("reply.share", "of bare", pairedRatio(speeds("reply"), speeds("bare"))),
    figure("bare", "tok/s", speeds("bare")),
  ];
  for (const side of ["stream", "reply"]) {
    figures.push(
      figure(side, "tok/s", speeds(side)),
      figure(`${side}.kernelCpu`, "µs/token", perToken(of(side), "kernel")),
      figure(`${side}.agentsCpu`, "µs/token", perToken(of(side), "agents")),
      figure(`${side}.driverCpu`, "µs/token", perToken(of(side), "driver")),
      figure(
        `${side}.firstToken`,
        "ms",
        of(side).flatMap(({ firstTokenMs = [] }) => firstTokenMs),
      ),
      figure(
        `${side}.sameAnswers`,
        "of agents",
        of(side).map((run, i) => same(run, of("bare")[i])),
      ),
    );
  }
  return figures;
}

function speed({ tokens, seconds }: Run): number {
  return tokens / seconds;
}

function perToken(runs: readonly Run[], who: keyof GroupRun["cpu"]): number[] {
  return runs.map(({ cpu, tokens }) => ((cpu?.[who] ?? Number.NaN) / tokens) * 1e6);
}

function same(run: Run, bare: Run | undefined): number {
  return run.digests.filter((digest, i) => digest === bare?.digests[i]).length / run.digests.length;
}

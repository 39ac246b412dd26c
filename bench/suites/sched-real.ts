/**
 * The simulator against the real engine. What a step costs is measured on the bare driver
 * (sched-calibrate.ts); then agents of another workload live through the daemon, and the
 * same programs are played in virtual time with that cost. Machines do not keep their
 * speed, so steps of the simulation are scaled until they take on average what those of
 * the run did; what is compared is all that is left: makespan and mean response.
 */
import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { makePolicy } from "../../kernel/sched/policies.js";
import { connect, type Os } from "../../syscalls/index.js";
import { startDaemon } from "../harness/daemon.js";
import { random } from "../harness/random.js";
import { type Figure, figure } from "../harness/report.js";
import { summarize } from "../harness/stats.js";
import { evaluationText } from "../harness/texts.js";
import { Dice } from "../sim/dice.js";
import { PAGE_BYTES } from "../sim/replay.js";
import { type EngineCost, scaled } from "../sim/sched/cost.js";
import { Machine } from "../sim/sched/machine.js";
import { mean } from "../sim/sched/metrics.js";
import { play } from "../sim/sched/play.js";
import type { Program, ProgramCall } from "../sim/sched/programs.js";
import { calibrate } from "./sched-calibrate.js";
import { type SuiteResult, say } from "./suite.js";

export interface SchedRealOptions {
  readonly model: string;
  readonly policy: string;
  readonly agents: number;
  readonly slots: number;
  /** Calls of an agent, tokens given with each and generated, on average. */
  readonly calls: number;
  readonly given: number;
  readonly generated: number;
  readonly rounds: number;
  readonly threads: number;
  readonly seed: number;
  /** A file for the measured cost; undefined: none. */
  readonly calibration: string | undefined;
}

/** What a run came to, in seconds. */
interface Lives {
  readonly makespan: number;
  readonly responses: readonly number[];
  /** Mean of a step, microseconds. */
  readonly stepUs: number;
}
interface RealLives extends Lives {
  /** Of a call's time, what was neither waiting nor service: the way in and out. */
  readonly turnUs: number;
}

/** As the kernel has it by default. */
const QUANTUM = 64;
const PAGE_MEMORY = 5 * 2 ** 30;
/** Agents come within this time. */
const SPAN_US = 10_000_000;
const PAUSE_US = 500_000;
/** Each brings the simulation's steps closer to the run's. */
const SCALINGS = 3;

export async function schedReal(options: SchedRealOptions): Promise<SuiteResult> {
  const { calibration, ...parameters } = options;
  const { cost, error } = await calibrate(options.model, options.threads, options.seed);
  if (calibration !== undefined) await writeFile(calibration, `${JSON.stringify(cost, null, 2)}\n`);
  const pairs: { readonly real: RealLives; readonly sim: Lives; readonly factor: number }[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const programs = programsOf({ ...options, seed: options.seed + round });
    const real = await lived(programs, options);
    const { lives: sim, factor } = await simulated(programs, options, cost, real);
    pairs.push({ real, sim, factor });
    say(
      `round ${round + 1}: real ${real.makespan.toFixed(1)} s, response ${mean(real.responses).toFixed(2)} s; ` +
        `simulated ${sim.makespan.toFixed(1)} s, ${mean(sim.responses).toFixed(2)} s; steps × ${factor.toFixed(2)}`,
    );
  }
  const column = (of: (pair: (typeof pairs)[number]) => number): number[] => pairs.map(of);
  const figures: Figure[] = [
    figure(
      "makespan.error",
      "of the real one",
      column(({ real, sim }) => off(sim.makespan, real.makespan)),
    ),
    figure(
      "response.error",
      "of the real one",
      column(({ real, sim }) => off(mean(sim.responses), mean(real.responses))),
    ),
    figure(
      "makespan.real",
      "s",
      column(({ real }) => real.makespan),
    ),
    figure(
      "makespan.sim",
      "s",
      column(({ sim }) => sim.makespan),
    ),
    figure(
      "response.real",
      "s",
      column(({ real }) => mean(real.responses)),
    ),
    figure(
      "response.sim",
      "s",
      column(({ sim }) => mean(sim.responses)),
    ),
    figure(
      "step.factor",
      "× calibrated",
      column(({ factor }) => factor),
    ),
    figure("calibration.error", "of a step", [error]),
  ];
  return { parameters, figures, notes: NOTES };
}

const NOTES = [
  "makespan.error, response.error: how far the simulation is from the real run, once its steps take on average what the " +
    "run's did. step.factor: by how much they had to be scaled. response: of agents, from their coming to their last " +
    "answer, pauses included.",
];

const off = (simulated: number, real: number): number => Math.abs(simulated - real) / real;

function programsOf({ agents, calls, given, generated, seed }: SchedRealOptions): Program[] {
  const dice = new Dice(random(seed));
  const about = (n: number): number => 2 + Math.floor(n / 2) + dice.below(n);
  return Array.from({ length: agents }, (_, id) => ({
    ...{ id, principal: "bench", at: dice.below(SPAN_US), nice: 0 },
    calls: chain(calls, () => ({
      given: about(given),
      generated: about(generated),
      pauseUs: dice.exponential(PAUSE_US),
    })),
  }));
}

/** Calls of one context, each on all that the ones before it left. */
function chain(
  count: number,
  next: () => { readonly given: number; readonly generated: number; readonly pauseUs: number },
): ProgramCall[] {
  let keep = 0;
  return Array.from({ length: count }, (_, index) => {
    const { given, generated, pauseUs } = next();
    const place = { index, context: 0, turn: index, after: index - 1, wait: "call" };
    const own = keep;
    keep += given + generated;
    return {
      ...{ ...place, keep: own, pauseUs: index === 0 ? 0 : pauseUs },
      given: Array.from({ length: given }, (_, i) => own + i),
      output: new Array<number>(generated).fill(7),
      closesUs: index + 1 === count ? 0 : undefined,
    };
  });
}

async function lived(programs: readonly Program[], options: SchedRealOptions): Promise<RealLives> {
  const { model, policy, slots, threads } = options;
  const settings = { model, policy, slots, threads, "slot-tokens": 2048, quantum: QUANTUM };
  const flags = Object.entries(settings).flatMap(([flag, value]) => [`--${flag}`, `${value}`]);
  await using daemon = await startDaemon(flags, { CONTIX_PAGE_MEMORY: String(PAGE_MEMORY) });
  await using os = await connect({ home: daemon.home, name: "bench" });
  const text = await os.llm.tokenize(await evaluationText("tom-sawyer"));
  await os.llm.generate({ tokens: text.slice(-32) }, { maxTokens: 8, temperature: 0 });
  const agents = await Promise.all(
    programs.map(({ id }) => connect({ home: daemon.home, name: `agent-${id}` })),
  );
  const before = await os.sys.stats();
  const start = performance.now();
  const ends = await Promise.all(
    programs.map(async (program, i) => {
      const agent = agents[i];
      if (!agent) throw new Error("an agent without a connection");
      await sleep(program.at / 1000);
      return life(agent, program, text);
    }),
  );
  const after = await os.sys.stats();
  await Promise.all(agents.map((agent) => agent.close()));
  const first = Math.min(...programs.map(({ at }) => at / 1000));
  return {
    makespan: (Math.max(...ends.map(({ end }) => end)) - start - first) / 1000,
    responses: ends.map(({ begin, end }) => (end - begin) / 1000),
    stepUs: ((after.stepMs - before.stepMs) / (after.steps - before.steps)) * 1000,
    turnUs: Math.max(0, summarize(ends.flatMap(({ aroundMs }) => aroundMs)).median * 1000),
  };
}

async function life(os: Os, { id, calls }: Program, text: readonly number[]) {
  const begin = performance.now();
  const aroundMs: number[] = [];
  await using context = await os.ctx.create();
  for (const { pauseUs, given, output, keep } of calls) {
    await sleep(pauseUs / 1000);
    const asked = performance.now();
    // Every agent reads another part of the text: nothing is found that was not its own.
    const from = id * 1500 + keep;
    const tokens = given.map((_, i) => text[(from + i) % text.length] ?? 0);
    await context.append({ tokens });
    const ask = { maxTokens: output.length, temperature: 0, ignoreEos: true };
    const { usage } = await context.generate(ask);
    aroundMs.push(performance.now() - asked - usage.queuedMs - usage.servedMs);
  }
  return { begin, end: performance.now(), aroundMs };
}

async function simulated(
  programs: readonly Program[],
  { policy, slots }: SchedRealOptions,
  measured: EngineCost,
  real: RealLives,
): Promise<{ readonly lives: Lives; readonly factor: number }> {
  // Tokens of different agents differ.
  const apart = programs.map((program) => ({
    ...program,
    calls: program.calls.map(own(program.id)),
  }));
  let factor = 1;
  let lives: Lives | undefined;
  for (let i = 0; i < SCALINGS; i++) {
    const cost = { ...scaled(measured, factor), turnUs: real.turnUs };
    const machine = new Machine({
      policy: makePolicy(policy, { quantum: QUANTUM }),
      ...{ slots, cost, frames: Math.floor(PAGE_MEMORY / PAGE_BYTES), blocks: 0 },
    });
    const { programs: ended } = await play(machine, apart, cost.turnUs);
    const { stepUs, steps } = machine.engine.counters;
    const first = Math.min(...ended.map(({ at }) => at));
    lives = {
      makespan: (Math.max(...ended.map(({ endedAt }) => endedAt)) - first) / 1e6,
      responses: ended.map(({ at, endedAt }) => (endedAt - at) / 1e6),
      stepUs: stepUs / steps,
    };
    if (i + 1 < SCALINGS) factor *= real.stepUs / lives.stepUs;
  }
  if (!lives) throw new Error("nothing was simulated");
  return { lives, factor };
}

function own(agent: number): (call: ProgramCall) => ProgramCall {
  return (call) => ({ ...call, given: call.given.map((token) => token + agent * 100_000) });
}

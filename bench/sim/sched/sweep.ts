/**
 * Policies side by side: the same programs under each, at several loads and seeds.
 *
 * Load is a share of the capacity, and that is measured first: the rate at which `fifo`
 * does the work of programs that all come at once and never pause, over the first half of
 * that work, while every slot has somebody waiting for it.
 */
import { makePolicy } from "../../../kernel/sched/policies.js";
import { random } from "../../harness/random.js";
import { Dice } from "../dice.js";
import type { Steps } from "../steps.js";
import type { EngineCost } from "./cost.js";
import { Machine } from "./machine.js";
import { metricsOf, type RunMetrics } from "./metrics.js";
import { type Played, play } from "./play.js";
import { type ArrivalKind, arriving, type Program, type ProgramCall } from "./programs.js";
import { callWork, type Spread, spreadOf, workOf } from "./sizes.js";
import { Srpt } from "./srpt.js";

/** The clairvoyant's name among the policies. */
export const CLAIRVOYANT = "srpt";

export interface SweepOptions {
  readonly policies: readonly string[];
  readonly loads: readonly number[];
  readonly seeds: readonly number[];
  readonly programs: number;
  /** The first so many are played and not counted: the machine was empty when they came. */
  readonly warmUp: number;
  readonly principals: number;
  /** How they come; "poisson" when missing. */
  readonly arrivals?: ArrivalKind;
  readonly slots: number;
  readonly quantum: number;
  readonly frames: number;
  readonly blocks: number;
  readonly cost: EngineCost;
}

export interface Run extends RunMetrics {
  readonly policy: string;
  readonly load: number;
  readonly seed: number;
}

export interface Sweep {
  readonly workload: string;
  readonly assumptions: string;
  readonly options: SweepOptions;
  readonly sessions: number;
  /** Work a second, in tokens generated, and the mean work of a program. */
  readonly capacity: number;
  readonly work: number;
  /** Of the work of sessions. */
  readonly spread: Spread;
  readonly runs: readonly Run[];
}

/** `part` hears what is done now. */
export async function sweep(
  workload: { readonly name: string; readonly assumptions: string },
  sessions: readonly (readonly ProgramCall[])[],
  options: SweepOptions,
  steps: Steps,
  part: (what: string) => void,
): Promise<Sweep> {
  if (options.warmUp >= options.programs) {
    throw new Error(
      `of ${options.programs} programs the first ${options.warmUp} are not counted: none is`,
    );
  }
  part(`${workload.name}: capacity`);
  steps.begin();
  const capacity = await capacityOf(sessions, options);
  const sizes = sessions.map(workOf);
  const work = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  const spread = spreadOf(sizes);
  const runs: Run[] = [];
  const { loads, seeds, policies } = options;
  const all = loads.length * seeds.length * policies.length;
  for (const load of loads) {
    const everyUs = (work / (capacity * load)) * 1e6;
    for (const seed of seeds) {
      const programs = arriving(sessions, { ...options, everyUs }, new Dice(random(seed)));
      for (const policy of policies) {
        part(`${workload.name}: load ${load}, seed ${seed}, ${policy}`);
        const { metrics } = await once(policy, programs, options);
        runs.push({ policy, load, seed, ...metrics });
        await steps.one(1 / all);
      }
    }
  }
  const { name, assumptions } = workload;
  const of = { workload: name, assumptions, options, sessions: sessions.length };
  return { ...of, capacity, work, spread, runs };
}

/** One run of `programs` under the policy of that name, on a machine of its own. */
export async function once(
  name: string,
  programs: readonly Program[],
  options: Pick<SweepOptions, "slots" | "quantum" | "frames" | "blocks" | "cost"> & {
    readonly warmUp?: number;
    /** Generations that may wait; the kernel's default when missing. */
    readonly queueLimit?: number;
  },
): Promise<{ readonly played: Played; readonly metrics: RunMetrics }> {
  const { quantum, cost, warmUp = 0 } = options;
  const clairvoyant = name === CLAIRVOYANT ? new Srpt(quantum) : undefined;
  const machine = new Machine({ ...options, policy: clairvoyant ?? makePolicy(name, { quantum }) });
  const played = await play(machine, programs, cost.turnUs, clairvoyant);
  return { played, metrics: metricsOf(machine, played, programs, { cost, warmUp }) };
}

/** Work a second. */
export async function capacityOf(
  sessions: readonly (readonly ProgramCall[])[],
  options: SweepOptions,
): Promise<number> {
  const restless = sessions.map((calls) => calls.map((call) => ({ ...call, pauseUs: 0 })));
  const programs = arriving(restless, { ...options, everyUs: 0 }, new Dice(random(0)));
  const { played } = await once("fifo", programs, options);
  const total = programs.reduce((sum, { calls }) => sum + workOf(calls), 0);
  let done = 0;
  for (const { endedAt, work } of worked(programs, played)) {
    done += work;
    if (done >= total / 2) return (done / endedAt) * 1e6;
  }
  throw new Error("a workload without work has no capacity");
}

/** Calls as they ended, each with its work. */
function worked(programs: readonly Program[], { calls }: Played) {
  const works = new Map(programs.map(({ id, calls }) => [id, callWork(calls)]));
  return calls.map(({ program, call, endedAt }) => ({
    endedAt,
    work: works.get(program)?.[call] ?? 0,
  }));
}

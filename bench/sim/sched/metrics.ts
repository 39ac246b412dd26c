/** What one run of programs under one policy came to. */

import type { EngineCost } from "./cost.js";
import type { Machine } from "./machine.js";
import type { Played } from "./play.js";
import type { Program } from "./programs.js";
import { aloneUs, pausesUs } from "./sizes.js";

const SECOND = 1e6;

export interface RunMetrics {
  /** Of each program that counts, from its coming to its end, seconds; in order of the programs. */
  readonly responses: readonly number[];
  readonly meanResponse: number;
  /** The same without the programs' own pauses: what the machine has to answer for. */
  readonly meanActive: number;
  /** Of a program's response what it would have taken alone: the mean of the ratios. */
  readonly meanSlowdown: number;
  /** Of a call, without a slot, seconds. */
  readonly meanWait: number;
  readonly p99Wait: number;
  readonly makespan: number;
  /** Jain's index of the programs' speeds, alone over together: 1 when all are slowed alike. */
  readonly jain: number;
  readonly switches: number;
  /** Of the makespan, the time in which the engine had something to do. */
  readonly busy: number;
  /** Programs that were not over when the last one came. */
  readonly alive: number;
  /** Of all tokens of prompts. */
  readonly hitRate: number;
  /** Tokens that entered a slot again. */
  readonly rebuilt: number;
  readonly tokensPerSecond: number;
  readonly decisions: number;
  /** Of the host's time that decisions took. */
  readonly decisionsPerSecond: number;
}

export function metricsOf(
  machine: Machine,
  { calls, programs: ended }: Played,
  programs: readonly Program[],
  { cost, warmUp }: { readonly cost: EngineCost; readonly warmUp: number },
): RunMetrics {
  const byId = new Map(ended.map((record) => [record.id, record]));
  const counted = programs.slice(warmUp);
  const responses = counted.map(({ id, at }) => ((byId.get(id)?.endedAt ?? at) - at) / SECOND);
  const alone = counted.map((program) => aloneUs(program.calls, cost) / SECOND);
  const speeds = responses.map((response, i) => Math.min(1, (alone[i] ?? 0) / response));
  const waits = calls.map(({ queuedUs }) => queuedUs / SECOND);
  const begins = Math.min(...programs.map(({ at }) => at));
  const active = counted.map(({ calls }, i) => (responses[i] ?? 0) - pausesUs(calls) / SECOND);
  const last = Math.max(...programs.map(({ at }) => at));
  const makespan = (Math.max(...ended.map(({ endedAt }) => endedAt)) - begins) / SECOND;
  const sum = (of: (call: Played["calls"][number]) => number): number =>
    calls.reduce((total, call) => total + of(call), 0);
  const { sched, placer, engine, decisionNs } = machine;
  return {
    responses,
    meanResponse: mean(responses),
    meanActive: mean(active),
    meanSlowdown: mean(speeds.map((speed) => 1 / speed)),
    meanWait: mean(waits),
    p99Wait: quantile(waits, 0.99),
    makespan,
    jain: jain(speeds),
    switches: sched.contextSwitches,
    busy: 1 - engine.counters.idleUs / SECOND / makespan,
    alive: ended.filter(({ endedAt }) => endedAt > last).length,
    hitRate:
      sum(({ cached }) => Math.max(0, cached)) /
      Math.max(
        1,
        sum(({ prompt }) => prompt),
      ),
    rebuilt: placer.recomputed,
    tokensPerSecond: sum(({ generated }) => generated) / makespan,
    decisions: sched.decisions,
    decisionsPerSecond: decisionNs === 0 ? 0 : (sched.decisions / decisionNs) * 1e9,
  };
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

/** The least value that so many of all are not above; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** Jain, Chiu, Hawe, "A quantitative measure of fairness", 1984: 1/n to 1. */
export function jain(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value * value, 0);
  return squares === 0 ? 1 : sum ** 2 / (values.length * squares);
}

/**
 * How large programs are, worked out from what they will say: what only a clairvoyant
 * knows. Work is in tokens generated, a given token a tenth of one, as policies count it.
 */
import { GIVEN_COST } from "../../../kernel/sched/policy.js";
import { type EngineCost, stepUs } from "./cost.js";
import type { ProgramCall } from "./programs.js";

const CHUNK = 64;

/** The work of each call. */
export function callWork(calls: readonly ProgramCall[]): number[] {
  return calls.map(({ given, output }) => given.length * GIVEN_COST + output.length);
}

export function workOf(calls: readonly ProgramCall[]): number {
  return callWork(calls).reduce((sum, work) => sum + work, 0);
}

/** How unlike each other sizes are, and what having had some of one says of its rest. */
export interface Spread {
  /** Variance over the mean's square: 1 of an exponential distribution. */
  readonly cv2: number;
  /** Mean rest, in means, of those above each of HAD means; as 1 everywhere when the past says nothing. */
  readonly rest: readonly number[];
}

/** What was had, in means. */
export const HAD = [0.5, 1, 2] as const;

export function spreadOf(sizes: readonly number[]): Spread {
  const mean = (of: readonly number[]): number => of.reduce((a, b) => a + b, 0) / of.length;
  const whole = mean(sizes);
  const cv2 = mean(sizes.map((size) => (size / whole - 1) ** 2));
  const rest = HAD.map((had) => {
    const larger = sizes.filter((size) => size > had * whole);
    return larger.length === 0 ? 0 : mean(larger) / whole - had;
  });
  return { cv2, rest };
}

/** What a program takes when it has the machine for itself, microseconds: its pauses, and its calls. */
export function aloneUs(calls: readonly ProgramCall[], cost: EngineCost): number {
  const ends: number[] = [];
  for (const call of calls) {
    const from = call.after < 0 ? 0 : (ends[call.after] ?? 0) + cost.turnUs;
    ends.push(from + call.pauseUs + serveUs(call, cost));
  }
  return Math.max(0, ...ends);
}

/** What of that are its pauses: it would take so long on a machine that takes no time. */
export function pausesUs(calls: readonly ProgramCall[]): number {
  const ends: number[] = [];
  for (const { after, pauseUs } of calls) ends.push((after < 0 ? 0 : (ends[after] ?? 0)) + pauseUs);
  return Math.max(0, ...ends);
}

function serveUs({ keep, given: { length }, output }: ProgramCall, cost: EngineCost): number {
  let us = 0;
  for (let at = 0; at < length; at += CHUNK) {
    const work = { width: 0, context: 0, chunk: Math.min(CHUNK, length - at), start: keep + at };
    us += stepUs(cost, work) + cost.gapUs;
  }
  const context = keep + length + Math.max(0, output.length / 2 - 1);
  const each = stepUs(cost, { width: 1, context, chunk: 0, start: 0 }) + cost.gapUs;
  return us + Math.max(0, output.length - 1) * each;
}

/**
 * Shortest remaining program first, by somebody who knows the future: every program's
 * work that is still to come, all its calls together. Nobody can know that; it is what
 * policies that guess from the past are held against (Schrage, "A proof of the optimality
 * of the shortest remaining processing time discipline", 1968, for one server; with many
 * slots and pauses between calls it is a yardstick, not a bound).
 */
import type { Burst } from "../../../kernel/sched/burst.js";
import {
  Account,
  type BurstView,
  costOf,
  type Policy,
  type Service,
} from "../../../kernel/sched/policy.js";
import type { Watcher } from "./play.js";
import type { Program, ProgramCall } from "./programs.js";
import { callWork } from "./sizes.js";

/** Its key is what is left of the program's work. */
class Session extends Account {
  /** Of each of its calls. */
  readonly left: number[];

  constructor(calls: readonly ProgramCall[]) {
    super();
    this.left = callWork(calls);
    this.key = this.left.reduce((sum, each) => sum + each, 0);
  }

  /** So much of a call is done, but never more than there was. */
  take(call: number, work: number): void {
    const left = this.left[call] ?? 0;
    const done = Math.min(left, work);
    this.left[call] = left - done;
    this.key -= done;
  }
}

export class Srpt implements Policy, Watcher {
  readonly name = "srpt";
  readonly preemptive = true;
  readonly #sessions = new Map<bigint, Session>();
  readonly #calls = new Map<bigint, number>();

  constructor(readonly quantum: number) {}

  expect(session: bigint, { calls }: Program): void {
    this.#sessions.set(session, new Session(calls));
  }

  asks(burst: Burst, _program: Program, call: ProgramCall): void {
    this.#calls.set(burst.id, call.index);
  }

  entered({ spec }: BurstView): Session {
    const session = this.#sessions.get(spec.program);
    if (!session) throw new Error(`the program ${spec.program} was not expected`);
    return session;
  }

  place(burst: BurstView) {
    return { key: 0, group: of(burst) };
  }

  compare(a: BurstView, b: BurstView): number {
    return of(a).key - of(b).key || a.order - b.order;
  }

  yields(burst: BurstView, head: { readonly burst: BurstView }): boolean {
    return of(head.burst).key < of(burst).key;
  }

  served(burst: BurstView, service: Service): void {
    this.#take(burst, costOf(service));
  }

  over(burst: BurstView): void {
    this.#take(burst, Number.POSITIVE_INFINITY);
    this.#calls.delete(burst.id);
  }

  #take(burst: BurstView, work: number): void {
    const call = this.#calls.get(burst.id);
    if (call !== undefined) of(burst).take(call, work);
  }
}

function of({ account }: BurstView): Session {
  if (account instanceof Session) return account;
  throw new Error("a burst that has not entered");
}

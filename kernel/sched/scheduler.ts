/**
 * The Scheduler: who holds the slots. `step` decides; `account` books what the driver
 * reports. Bursts live here from their admission to their end.
 *
 * Those that wait lie in the run queue, in the policy's order; those that run, at most
 * `slots`, in a list. A decision fills free slots from the queue. While others wait it then
 * asks each of those that run, the least urgent first, whether it gives way to the first
 * that waits (gives-way.ts).
 *
 * Nothing here looks at all bursts: a decision costs O(slots + log n), and what it needs of a
 * burst it finds in it.
 */
import { ContixError } from "../../proto/errno.js";
import type { RowOutcome } from "../../proto/gen/contix/driver/v1/llm.js";
import type { ProcessClass } from "../journal/fold-procs.js";
import type { Burst, BurstEnd, BurstListener, BurstSpec } from "./burst.js";
import { Bursts } from "./bursts.js";
import { isWorth, sortByUrgency, turnsOf, wantsSlotOf } from "./gives-way.js";
import { newBurst, newlyGiven } from "./new-burst.js";
import { costOf, type Policy, rebuildCost, type Service } from "./policy.js";
import { type Next, RunQueue } from "./run-queue.js";

export interface SchedulerOptions {
  readonly policy: Policy;
  readonly slots: number;
  /**
   * What it costs to take a running burst's slot and to give it one again, in tokens
   * generated. By default nothing of it is kept.
   */
  readonly switchCost?: (burst: Burst) => number;
  /** Given tokens of a burst that comes which have to be entered. By default nothing of it is kept. */
  readonly missing?: (burst: Burst) => number;
}

export class Scheduler {
  readonly #bursts = new Bursts();
  readonly #slots: number;
  readonly #switchCost: (burst: Burst) => number;
  readonly #missing: (burst: Burst) => number;
  #policy: Policy;
  #queue: RunQueue;
  #running: readonly Burst[] = [];
  #order = 0;
  /** Something changed since the last decision. */
  #dirty = true;
  #switches = 0;
  #decisions = 0;
  /** Called when there may be something to do: an arrival, an end, a change of rank. */
  onWork: () => void = () => {};

  constructor({ policy, slots, switchCost, missing }: SchedulerOptions) {
    this.#policy = policy;
    this.#queue = new RunQueue(policy);
    this.#slots = slots;
    this.#switchCost =
      switchCost ?? (({ spec, generatedSoFar }) => rebuildCost(spec.genStart, generatedSoFar));
    this.#missing = missing ?? (({ spec }) => spec.genStart);
  }

  get policy(): string {
    return this.#policy.name;
  }
  get quantum(): number {
    return this.#policy.quantum;
  }
  get contextSwitches(): number {
    return this.#switches;
  }
  /** Steps at which somebody waited or something had changed. */
  get decisions(): number {
    return this.#decisions;
  }
  /** Bursts without a slot that want one. */
  get waiting(): number {
    return this.#queue.size;
  }
  /** The most urgent first. */
  get running(): readonly Burst[] {
    return this.#running;
  }
  all(): Iterable<Burst> {
    return this.#bursts.all();
  }
  /** Bursts of a class without a slot that want one. */
  waitingOf(name: ProcessClass): number {
    return this.#queue.sizeOf(name);
  }

  /** What the bursts of a process that are not over have waited and been served until now. */
  timesOf(pid: bigint, now: number): { queuedUs: number; servedUs: number } {
    return this.#bursts.timesOf(pid, now);
  }

  /** Admits a burst. Whoever admits bounds the queue (admission.ts). */
  enqueue(
    spec: BurstSpec,
    listener: BurstListener,
    nice: number,
    arrivedAt: number,
    now: number,
  ): Burst {
    const burst = newBurst(++this.#order, spec, listener, nice, arrivedAt, now);
    burst.missing = this.#missing(burst);
    this.#bursts.add(burst);
    burst.account = this.#policy.entered?.(burst, now);
    this.#rekey(burst);
    this.#queue.add(burst, now);
    this.#changed();
    return burst;
  }

  /** Takes a burst out, whatever it is doing. Its listener hears nothing. */
  remove(burst: Burst, now: number): void {
    if (!this.#bursts.delete(burst)) return;
    this.#leave(burst, now);
    this.#policy.over?.(burst, now);
    this.#rekey(burst);
    this.#changed();
  }

  /** A burst whose reader is behind does not compete until it reads on. */
  pause(burst: Burst, now: number): void {
    if (burst.state === "paused" || !this.#bursts.has(burst)) return;
    this.#leave(burst, now);
    this.#changed();
  }

  resume(burst: Burst, now: number): void {
    if (burst.state !== "paused" || !this.#bursts.has(burst)) return;
    this.#wait(burst, now);
    this.#changed();
  }

  renice(pid: bigint, nice: number): void {
    for (const burst of this.#bursts.of(pid)) {
      burst.nice = nice;
      this.#queue.move(burst);
    }
    this.#changed();
  }

  /**
   * Another policy decides from the next step on. Those that wait have waited as long as
   * before; those that run keep their slots until it finds that they give way.
   */
  setPolicy(policy: Policy, now: number): void {
    const waiting = this.#queue.all();
    this.#policy = policy;
    this.#queue = new RunQueue(policy);
    for (const burst of this.#bursts.all()) {
      burst.account = policy.entered?.(burst, now);
      const given = Math.max(0, burst.entered - Math.max(0, burst.cached));
      policy.served?.(burst, { given, generated: burst.attained });
    }
    for (const burst of waiting) this.#queue.add(burst, now);
    this.#changed();
  }

  /** Turns are so long from the next step on; what the policy knows of each stays known. */
  setQuantum(quantum: number): void {
    this.#policy.quantum = quantum;
    this.#changed();
  }

  /** Who holds the slots from now on, most urgent first. */
  step(now: number): readonly Burst[] {
    if (!this.#dirty) return this.#running;
    this.#dirty = false;
    this.#decisions++;
    const running = [...this.#running];
    const fresh = this.#fill(now);
    if (this.#queue.size > 0) this.#relieve(running, fresh, now);
    this.#running = sortByUrgency([...running, ...fresh], this.#policy, 1);
    if (this.#running.length > this.#slots)
      throw new ContixError("EIO", "more bursts run than there are slots");
    return this.#running;
  }

  /** Books one row of an outcome: returns the burst's end when it ended. */
  account(burst: Burst, row: RowOutcome, now: number): BurstEnd | undefined {
    if (!this.#bursts.has(burst)) return undefined;
    const generated = row.sampled.length;
    if (generated > 0 && burst.firstTokenAt === 0) burst.firstTokenAt = now;
    this.#serve(burst, { given: newlyGiven(burst, row.length), generated });
    // While somebody waits, each step may be the one after which a slot changes hands.
    if (this.#queue.size > 0) this.#dirty = true;
    if (row.finish === "") return undefined;
    return { kind: "finished", finish: row.finish, stop: row.stop };
  }

  /** The driver is gone: what ran waits for its return, in its old order. */
  interrupt(now: number): void {
    const running = this.#running;
    for (const burst of running) this.#leave(burst, now);
    for (const burst of running) this.#wait(burst, now);
    this.#changed();
  }

  /** Free slots go to the first of those who wait. @returns who got one */
  #fill(now: number): Burst[] {
    const fresh: Burst[] = [];
    while (this.#running.length + fresh.length < this.#slots) {
      const next = this.#queue.first(now);
      if (!next) break;
      fresh.push(this.#grant(next, now));
    }
    return fresh;
  }

  /** Asks each of those that run whether it gives way: it leaves `running`, who takes its slot joins `fresh`. */
  #relieve(running: Burst[], fresh: Burst[], now: number): void {
    const asked = sortByUrgency([...running], this.#policy, -1);
    const gone: Burst[] = [];
    let next = this.#queue.first(now);
    for (const burst of asked) {
      if (!next) break;
      if (this.#givesWay(burst, next, now)) {
        this.#leave(burst, now);
        this.#switches++;
        gone.push(burst);
        running.splice(running.indexOf(burst), 1);
        fresh.push(this.#grant(next, now));
      } else if (!this.#renew(burst)) continue;
      next = this.#queue.first(now);
    }
    // Only now, so that nobody is chosen in the step in which he gave way.
    for (const burst of gone) this.#wait(burst, now);
  }

  #givesWay(burst: Burst, next: Next, now: number): boolean {
    const policy = this.#policy;
    if (!policy.preemptive || !wantsSlotOf(burst, next, policy, now)) return false;
    return isWorth(burst, this.#switchCost(burst));
  }

  #grant({ burst, owed }: Next, now: number): Burst {
    this.#queue.passed(burst.rank);
    this.#leave(burst, now, true);
    burst.state = "running";
    burst.switchedInAt = now;
    burst.quantumUsed = 0;
    burst.turnService = 0;
    burst.turns = 0;
    burst.owed = owed;
    return burst;
  }

  /** It goes on. @returns whether with another turn */
  #renew(burst: Burst): boolean {
    const turns = turnsOf(burst, this.#policy);
    if (turns === burst.turns) return false;
    burst.turns = turns;
    burst.owed = false;
    this.#queue.passed(burst.rank);
    return true;
  }

  #serve(burst: Burst, service: Service): void {
    // Only what is new counts: a burst that rebuilds its context is not served by that.
    burst.quantumUsed += service.generated;
    burst.attained += service.generated;
    burst.generatedSoFar += service.generated;
    burst.turnService += costOf(service);
    this.#policy.served?.(burst, service);
    this.#rekey(burst);
  }

  /** Begins to wait. */
  #wait(burst: Burst, now: number): void {
    burst.state = "ready";
    burst.readySince = now;
    this.#queue.add(burst, now);
  }

  /** Stops what it is doing, and books the time that this took. */
  #leave(burst: Burst, now: number, granted = false): void {
    if (burst.state === "ready") {
      const us = now - burst.readySince;
      burst.queuedUs += us;
      this.#queue.remove(burst);
      this.#policy.left?.(burst, granted, us);
    } else if (burst.state === "running") {
      const us = now - burst.switchedInAt;
      burst.servedUs += us;
      this.#running = this.#running.filter((other) => other !== burst);
      this.#policy.ran?.(burst, us);
    }
    burst.state = "paused";
    this.#rekey(burst);
  }

  /** The policy has heard of the burst: those of its account may have moved. */
  #rekey({ account }: Burst): void {
    if (account) this.#queue.rekey(account);
  }

  #changed(): void {
    this.#dirty = true;
    this.onWork();
  }
}

/**
 * The run queue. `step` asks the policy who runs; `account` books what the driver
 * reports. Bursts live here from their admission to their end.
 */
import { ContixError } from "../../proto/errno.js";
import type { RowOutcome } from "../../proto/gen/contix/driver/v1/llm.js";
import type { Burst, BurstEnd, BurstId, BurstListener, BurstSpec } from "./burst.js";
import { type Candidate, type Policy, rebuildCost } from "./policy.js";

export interface SchedulerOptions {
  readonly policy: Policy;
  readonly slots: number;
  /** Tokens after which a running burst is reconsidered while others wait. */
  readonly quantum: number;
  /** Time after which waiting bursts are reconsidered, microseconds (aging). */
  readonly reviewUs: number;
  /** The part of a running context that would have to be computed again: 0 to 1; by default all. */
  readonly lostShare?: (cid: bigint) => number;
}

export class Scheduler {
  readonly #bursts = new Map<BurstId, Burst>();
  readonly #options: SchedulerOptions;
  #order = 0;
  #dirty = true;
  #reviewedAt = 0;
  #decision: readonly Burst[] = [];
  #switches = 0;
  /** Called when there may be something to do: an arrival, an end, a change of rank. */
  onWork: () => void = () => {};

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  get policy(): string {
    return this.#options.policy.name;
  }
  get contextSwitches(): number {
    return this.#switches;
  }
  /** Bursts without a slot that want one. */
  get waiting(): number {
    let count = 0;
    for (const burst of this.#bursts.values()) if (burst.state === "ready") count++;
    return count;
  }
  get running(): readonly Burst[] {
    return this.#decision;
  }
  all(): Iterable<Burst> {
    return this.#bursts.values();
  }

  /** What the bursts of a process that are not over have waited and been served until now. */
  timesOf(pid: bigint, now: number): { queuedUs: number; servedUs: number } {
    const sum = { queuedUs: 0, servedUs: 0 };
    for (const burst of this.#bursts.values()) {
      if (burst.spec.pid !== pid) continue;
      sum.queuedUs += burst.queuedUs + (burst.state === "ready" ? now - burst.readySince : 0);
      sum.servedUs += burst.servedUs + (burst.state === "running" ? now - burst.switchedInAt : 0);
    }
    return sum;
  }

  /** Admits a burst. Whoever admits bounds the queue (mm/admission). */
  enqueue(
    spec: BurstSpec,
    listener: BurstListener,
    nice: number,
    arrivedAt: number,
    now: number,
  ): Burst {
    const order = ++this.#order;
    const burst: Burst = {
      id: BigInt(order),
      spec,
      listener,
      order,
      state: "ready",
      nice,
      readySince: now,
      quantumUsed: 0,
      attained: 0,
      recomputed: 0,
      cached: -1,
      queuedUs: 0,
      servedUs: 0,
      switchedInAt: 0,
      arrivedAt,
      firstTokenAt: 0,
      generatedSoFar: 0,
    };
    this.#bursts.set(burst.id, burst);
    this.#changed();
    return burst;
  }

  /** Takes a burst out, whatever it is doing. Its listener hears nothing. */
  remove(burst: Burst, now: number): void {
    if (!this.#bursts.delete(burst.id)) return;
    this.#book(burst, now);
    burst.state = "paused";
    this.#decision = this.#decision.filter((other) => other !== burst);
    this.#changed();
  }

  /** A burst whose reader is behind does not compete until it reads on. */
  pause(burst: Burst, now: number): void {
    if (burst.state === "paused" || !this.#bursts.has(burst.id)) return;
    this.#book(burst, now);
    burst.state = "paused";
    this.#changed();
  }

  resume(burst: Burst, now: number): void {
    if (burst.state !== "paused") return;
    burst.state = "ready";
    burst.readySince = now;
    this.#changed();
  }

  renice(pid: bigint, nice: number): void {
    for (const burst of this.#bursts.values()) if (burst.spec.pid === pid) burst.nice = nice;
    this.#changed();
  }

  /** Who holds the slots from now on, most urgent first. */
  step(now: number): readonly Burst[] {
    const contended = this.#bursts.size > this.#decision.length;
    const review = contended && now - this.#reviewedAt >= this.#options.reviewUs;
    if (!this.#dirty && !review) return this.#decision;
    this.#dirty = false;
    this.#reviewedAt = now;
    const candidates: Candidate[] = [];
    for (const burst of this.#bursts.values()) {
      if (burst.state !== "paused") candidates.push(this.#candidate(burst));
    }
    const chosen = this.#options.policy.choose({ now, slots: this.#options.slots, candidates });
    this.#decision = this.#switch(chosen, now);
    return this.#decision;
  }

  /** Books one row of an outcome: returns the burst's end when it ended. */
  account(burst: Burst, row: RowOutcome, now: number): BurstEnd | undefined {
    if (!this.#bursts.has(burst.id)) return undefined;
    const { length } = row.sampled;
    // Only what is new counts: a burst that rebuilds its context is not served by that.
    burst.quantumUsed += length;
    burst.attained += length;
    burst.generatedSoFar += length;
    if (length > 0 && burst.firstTokenAt === 0) burst.firstTokenAt = now;
    // A step may bring several tokens, and so pass the end of a quantum.
    if (burst.quantumUsed % this.#options.quantum < length) this.#dirty = true;
    if (row.finish === "") return undefined;
    return { kind: "finished", finish: row.finish, stop: row.stop };
  }

  /** The driver is gone: what ran waits for its return, in its old order. */
  interrupt(now: number): void {
    for (const burst of this.#decision) {
      this.#book(burst, now);
      if (burst.state === "running") {
        burst.state = "ready";
        burst.readySince = now;
      }
    }
    this.#decision = [];
    this.#changed();
  }

  #switch(chosen: readonly BurstId[], now: number): Burst[] {
    const ids = new Set(chosen);
    if (ids.size > this.#options.slots)
      throw new ContixError("EIO", "a policy chose too many bursts");
    for (const burst of this.#decision) {
      if (ids.has(burst.id) || burst.state !== "running") continue;
      this.#book(burst, now);
      burst.state = "ready";
      burst.readySince = now;
      this.#switches++;
    }
    const decision: Burst[] = [];
    for (const id of ids) {
      const burst = this.#bursts.get(id);
      if (!burst) continue;
      if (burst.state === "ready") {
        this.#book(burst, now);
        burst.state = "running";
        burst.switchedInAt = now;
        burst.quantumUsed = 0;
      }
      decision.push(burst);
    }
    return decision;
  }

  /** Adds the time since the last change of state to what it was spent on. */
  #book(burst: Burst, now: number): void {
    if (burst.state === "ready") burst.queuedUs += now - burst.readySince;
    if (burst.state === "running") burst.servedUs += now - burst.switchedInAt;
  }

  #candidate(burst: Burst): Candidate {
    const { id, state, nice, order, readySince, quantumUsed, attained } = burst;
    const running = state === "running";
    const { lostShare } = this.#options;
    const share = running && lostShare ? lostShare(burst.spec.cid) : 1;
    const cost = rebuildCost(burst.spec.genStart, burst.generatedSoFar) * share;
    return { id, running, nice, order, readySince, quantumUsed, attained, rebuildCost: cost };
  }

  #changed(): void {
    this.#dirty = true;
    this.onWork();
  }
}

/**
 * What every scheduling policy must hold, whatever it prefers, and a small world in which
 * it is held to that: the kernel's Scheduler on slots of which each makes a token a step.
 */
import fc from "fast-check";
import { expect } from "vitest";
import type { ProcessClass } from "../../kernel/journal/fold-procs.js";
import type { Burst } from "../../kernel/sched/burst.js";
import type { Policy } from "../../kernel/sched/policy.js";
import { Scheduler } from "../../kernel/sched/scheduler.js";
import { NOBODY, rowOf, specOf } from "../../kernel/sched/testing/bursts.js";
import type { WaitWatch } from "../../kernel/sched/testing/waits.js";

/** Microseconds of a step. */
export const STEP_US = 10_000;
/** Given tokens that a step enters. */
const CHUNK = 64;

export interface Arrival {
  readonly class?: ProcessClass;
  readonly nice?: number;
  readonly principal?: string;
  readonly program?: bigint;
  readonly pid?: bigint;
  readonly given?: number;
  /** Of those, what has to be entered, as far as that is known; all of them when missing. */
  readonly missing?: number;
  readonly tokens: number;
}

/** How often a property is tried. */
export const RUNS = { numRuns: 40 };

/** Any arrival. */
export const arrival = fc.record({
  class: fc.constantFrom("realtime" as const, "interactive" as const, "batch" as const),
  nice: fc.integer({ min: -20, max: 19 }),
  principal: fc.constantFrom("a", "b", "c"),
  program: fc.bigInt({ min: 1n, max: 4n }),
  pid: fc.bigInt({ min: 1n, max: 6n }),
  given: fc.integer({ min: 1, max: 200 }),
  tokens: fc.integer({ min: 1, max: 60 }),
});

export class PolicyWorld {
  readonly sched: Scheduler;
  now = 0;
  readonly alive = new Set<Burst>();
  readonly finished: Burst[] = [];
  /** Waits from ready to a slot, microseconds, as they ended. */
  readonly waits: { readonly burst: Burst; readonly us: number }[] = [];
  /** Holds every wait to its bound. */
  watch: WaitWatch | undefined;
  readonly #entered = new Map<Burst, number>();
  #pids = 1000n;
  /** Of the one that is coming. */
  #missing: number | undefined;

  constructor(
    policy: Policy,
    readonly slots: number,
    readonly costOf: (burst: Burst) => number = () => 0,
  ) {
    const missing = ({ spec }: Burst): number => this.#missing ?? spec.genStart;
    this.sched = new Scheduler({ policy, slots, switchCost: costOf, missing });
  }

  arrive({ tokens, given = 1, nice = 0, pid = ++this.#pids, ...over }: Arrival): Burst {
    const names = { program: over.program ?? pid, principal: over.principal ?? `p${pid}` };
    const spec = specOf(pid, {
      ...{ class: over.class ?? "interactive", genStart: given, maxTokens: tokens },
      ...names,
    });
    this.#missing = over.missing;
    const burst = this.sched.enqueue(spec, NOBODY, nice, this.now, this.now);
    this.alive.add(burst);
    return burst;
  }

  cancel(burst: Burst): void {
    this.sched.remove(burst, this.now);
    this.alive.delete(burst);
  }

  /** One decision, checked, and one step of all who run. */
  step(): readonly Burst[] {
    const before = new Map([...this.alive].map((burst) => [burst, this.#was(burst)]));
    const running = this.sched.step(this.now);
    this.#check(running, before);
    this.watch?.note(this.sched, this.now);
    this.now += STEP_US;
    let chunk = CHUNK;
    for (const burst of running) chunk = this.#serve(burst, chunk);
    return running;
  }

  /** Steps until all are done. A world that does not come to an end is none. */
  drain(limit = 50_000): void {
    for (let n = 0; this.alive.size > 0; n++) {
      holds(n < limit, "all come to an end");
      for (const burst of this.alive)
        if (burst.state === "paused") this.sched.resume(burst, this.now);
      this.step();
    }
    expect(this.sched.waiting).toBe(0);
    expect([...this.sched.all()]).toEqual([]);
  }

  #was(burst: Burst): Was {
    const { state, readySince, turnService, generatedSoFar, spec } = burst;
    const cost = this.costOf(burst);
    return { state, readySince, turnService, cost, left: spec.maxTokens - generatedSoFar };
  }

  #serve(burst: Burst, chunk: number): number {
    const { genStart, maxTokens } = burst.spec;
    const entered = this.#entered.get(burst) ?? 0;
    if (entered < genStart) {
      const more = Math.min(chunk, genStart - entered);
      this.#entered.set(burst, entered + more);
      if (more > 0) this.sched.account(burst, rowOf(entered + more, 0), this.now);
      return chunk - more;
    }
    const last = burst.generatedSoFar + 1 >= maxTokens;
    const length = genStart + burst.generatedSoFar;
    const end = this.sched.account(burst, rowOf(length, 1, last ? "length" : ""), this.now);
    holds((end !== undefined) === last, "an end is told");
    if (!last) return chunk;
    this.cancel(burst);
    this.finished.push(burst);
    return chunk;
  }

  #check(running: readonly Burst[], before: ReadonlyMap<Burst, Was>): void {
    const { sched, slots, alive } = this;
    const count = (state: Burst["state"]): number => {
      let n = 0;
      for (const burst of alive) if (burst.state === state) n++;
      return n;
    };
    holds(running.length <= slots, "at most as many run as there are slots");
    holds(new Set(running).size === running.length, "nobody has two slots");
    for (const burst of running) {
      holds(alive.has(burst) && burst.state === "running", "who has a slot is alive and runs");
    }
    holds(count("running") === running.length, "who runs has a slot");
    const ready = count("ready");
    holds(sched.waiting === ready, "all that want a slot wait");
    holds(ready === 0 || running.length === slots, "no slot is free while somebody waits");
    for (const [burst, was] of before) this.#checkChange(burst, was);
  }

  #checkChange(burst: Burst, was: Was): void {
    if (was.state === "ready" && burst.state === "running") {
      this.waits.push({ burst, us: this.now - was.readySince });
    }
    if (was.state !== "running" || burst.state === "running") return;
    holds(this.sched.policy !== "fifo", "who has begun ends, under fifo");
    holds(was.turnService >= was.cost / 2, "half of the switch was earned");
    holds(was.left > was.cost, "who is over before the switch is keeps its slot");
  }
}

/** A burst before a decision. */
interface Was extends Pick<Burst, "state" | "readySince" | "turnService"> {
  readonly cost: number;
  readonly left: number;
}

/** An expectation that is cheap enough to be held at every decision. */
function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(`does not hold: ${what}`);
}

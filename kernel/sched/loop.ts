/**
 * The loop: the whole kernel in four lines. Who runs, where, do it, book it.
 */
import type { Outcome, PageDone, Plan } from "../../proto/gen/contix/driver/v1/llm.js";
import type { Clock } from "../clock.js";
import type { Journal } from "../journal/journal.js";
import { NEXT_CALL } from "../mm/eviction/policy.js";
import type { Placer } from "../mm/place.js";
import type { Scheduler } from "./scheduler.js";

/** What `run` resolves with: outcomes in order, a reason to plan anew, or the driver's loss. */
export type RunResult =
  | {
      readonly kind: "outcomes";
      readonly outcomes: readonly Outcome[];
      /** Reads and writes of the swap file that are over. */
      readonly pages: readonly PageDone[];
    }
  | { readonly kind: "woken" }
  | { readonly kind: "lost" };

/** Where plans run: the LLM driver's process, or a simulated one. */
export interface PlanRunner {
  /** Set once the driver is given up: what every burst then fails with. */
  readonly failure: Error | undefined;
  /** The room for pages that the driver has now. Undefined: as it always had. */
  readonly room?: { readonly frames: number; readonly blocks: number } | undefined;
  /** Resolves when plans can be run, or when that will never be again. */
  up(): Promise<void>;
  /** Puts `plan` in force, unless it is already; resolves when there is something to do. */
  run(plan: Plan): Promise<RunResult>;
  /** Makes a pending or the next `run` return at once. */
  wake(): void;
}

/** Counters of everything the loop did, for `stats`. */
export interface LoopCounters {
  steps: number;
  stepUs: number;
  tokensGenerated: number;
  tokensPrefilled: number;
  tokensDecoded: number;
}

export class Loop {
  readonly counters: LoopCounters = {
    steps: 0,
    stepUs: 0,
    tokensGenerated: 0,
    tokensPrefilled: 0,
    tokensDecoded: 0,
  };
  #stopped = false;
  #ended: Promise<void> | undefined;

  constructor(
    private readonly sched: Scheduler,
    private readonly mm: Placer,
    private readonly driver: PlanRunner,
    private readonly journal: Journal,
    private readonly clock: Clock,
  ) {
    sched.onWork = () => driver.wake();
  }

  /** `onBroken` hears of a broken invariant: the loop has ended, and nothing can be scheduled. */
  start(onBroken: (error: unknown) => void): void {
    this.#ended = this.#run().catch(onBroken);
  }

  /** Stops after the outcome in flight. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.driver.wake();
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      await this.driver.up();
      if (this.driver.room) this.mm.fit(this.driver.room);
      const bursts = this.sched.step(this.clock.now());
      const plan = this.mm.place(bursts, this.clock.now());
      const result = await this.driver.run(plan);
      this.#account(result);
    }
  }

  #account(result: RunResult): void {
    if (result.kind === "outcomes") {
      for (const done of result.pages) this.mm.moved(done);
      for (const outcome of result.outcomes) this.#accountStep(outcome);
    } else if (result.kind === "lost") {
      this.mm.reset();
      this.sched.interrupt(this.clock.now());
    }
    if (this.driver.failure) this.#failAll(this.driver.failure);
  }

  #accountStep(outcome: Outcome): void {
    const now = this.clock.now();
    // What was gathered is a chain of steps alike, of decode rows only.
    const steps = outcome.steps || 1;
    this.counters.steps += steps;
    this.counters.stepUs += outcome.stepUs;
    let decoded = 0;
    let prefilled = 0;
    for (const row of outcome.rows) {
      const burst = this.mm.bound(row.burst);
      if (!burst) continue;
      const entered = this.mm.grew(row.burst, row.length);
      // A decode row enters one token, or with guesses that were right as many as it samples;
      // a chunk enters at least two, and samples one at most.
      if (entered <= Math.max(steps, row.sampled.length)) decoded += entered;
      else prefilled += entered;
      this.counters.tokensGenerated += row.sampled.length;
      if (row.sampled.length > 0) {
        this.journal.append({ type: "ctx.generated", cid: burst.spec.cid, tokens: row.sampled });
      }
      const end = this.sched.account(burst, row, now);
      if (row.sampled.length > 0 || row.text !== "") {
        burst.listener.progress(row.sampled, row.text, row.logprobs?.tokens);
      }
      if (!end) continue;
      this.mm.release(burst);
      this.sched.remove(burst, now);
      this.mm.waits(burst.spec.cid, NEXT_CALL, now);
      burst.listener.end(end);
    }
    this.counters.tokensPrefilled += prefilled;
    this.counters.tokensDecoded += decoded;
    this.mm.pace.note(Math.round(decoded / steps), prefilled, outcome.stepUs / steps);
    this.mm.stepped(outcome.plan, outcome.step, outcome.last);
  }

  #failAll(error: Error): void {
    for (const burst of [...this.sched.all()]) {
      this.mm.release(burst);
      this.sched.remove(burst, this.clock.now());
      burst.listener.end({ kind: "failed", error });
    }
  }
}

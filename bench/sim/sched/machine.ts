/**
 * The kernel's scheduling parts, as production joins them (engines/engine.ts), around the
 * virtual engine: journal, scheduler, placer, page pool and loop are the very code.
 */
import { memoryJournal } from "../../../kernel/journal/journal.js";
import { validAfterCut } from "../../../kernel/mm/context-truncate.js";
import { evictionPolicy } from "../../../kernel/mm/eviction/policies.js";
import { PageCosts } from "../../../kernel/mm/page-costs.js";
import { Placer } from "../../../kernel/mm/place.js";
import { PagePool } from "../../../kernel/mm/pool.js";
import type { Burst, BurstListener, BurstSpec } from "../../../kernel/sched/burst.js";
import { Loop } from "../../../kernel/sched/loop.js";
import type { Policy } from "../../../kernel/sched/policy.js";
import { Scheduler } from "../../../kernel/sched/scheduler.js";
import { PAGE_BYTES } from "../replay.js";
import { VirtualClock } from "./clock.js";
import type { EngineCost } from "./cost.js";
import { VirtualEngine } from "./engine.js";

export interface MachineOptions {
  readonly policy: Policy;
  readonly slots: number;
  /** Pages that RAM and the swap file hold. */
  readonly frames: number;
  readonly blocks: number;
  readonly cost: EngineCost;
}

/** As the kernel has it (engines/engine.ts). */
const CHUNK_TOKENS = 64;

const SAMPLING = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  seed: 1n,
};

/** A burst's own words: whose it is, and what it will say. */
export interface Utterance {
  readonly pid: bigint;
  readonly cid: bigint;
  readonly program: bigint;
  readonly principal: string;
  readonly output: readonly number[];
  readonly nice: number;
  /** "interactive" when missing. */
  readonly class?: BurstSpec["class"];
}

export class Machine {
  readonly clock = new VirtualClock();
  readonly journal = memoryJournal();
  readonly sched: Scheduler;
  readonly placer: Placer;
  readonly pool: PagePool;
  readonly engine: VirtualEngine;
  /** What the host took for the scheduler's decisions, nanoseconds. */
  decisionNs = 0;
  readonly #loop: Loop;
  readonly #outputs = new Map<bigint, readonly number[]>();
  readonly #over: Promise<void>;
  #cids = 0n;
  #end: () => void = () => {};

  constructor(options: MachineOptions) {
    const { policy, slots, frames, blocks, cost } = options;
    this.pool = new PagePool({
      ...{ engineDigest: "sim", pageBytes: PAGE_BYTES, frames, blocks },
      ...{ costs: new PageCosts(PAGE_BYTES), eviction: (ports) => evictionPolicy("agent", ports) },
    });
    const switchCost = (burst: Burst): number => this.placer.switchCost(burst);
    this.sched = new Scheduler({ policy, slots, switchCost });
    this.placer = new Placer(this.journal.state, {
      ...{ slotCount: slots, chunkTokens: CHUNK_TOKENS, pool: this.pool },
    });
    this.#over = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.engine = new VirtualEngine({
      ...{ slots, cost, clock: this.clock, onIdle: () => this.#stop() },
      token: (binding, index) => this.#token(binding, index),
      // While somebody waits each step may be the one after which a slot changes hands.
      ahead: () => (this.sched.waiting > 0 ? 1 : Number.POSITIVE_INFINITY),
    });
    const { sched, placer, engine, journal, clock } = this;
    this.#loop = new Loop(this.#timed(sched), placer, engine, journal, clock);
  }

  /** Runs until nothing will happen any more. Throws what broke. */
  async run(): Promise<void> {
    let broken: { readonly error: unknown } | undefined;
    this.#loop.start((error) => {
      broken = { error };
      this.#end();
    });
    await this.#over;
    if (broken) throw broken.error;
    await this.#loop.stop();
  }

  get counters(): Loop["counters"] {
    return this.#loop.counters;
  }

  openContext(pid: bigint): bigint {
    const cid = ++this.#cids;
    const belongs = { model: "sim", engine: "sim" };
    this.journal.append({ type: "ctx.created", cid, owner: pid, handle: 0, ...belongs });
    return cid;
  }

  /** Cuts the context to `keep` tokens and puts these behind them. @returns how many it has then */
  become(cid: bigint, keep: number, given: readonly number[]): number {
    const context = this.journal.state.contexts.get(cid);
    if (!context) throw new Error(`context ${cid} is gone`);
    if (keep < context.tokens.length) {
      this.placer.cutContext(cid, validAfterCut(context, keep));
      this.journal.append({ type: "ctx.truncated", cid, length: keep });
    }
    if (given.length > 0)
      this.journal.append({ type: "ctx.given", cid, tokens: given, tail: "text" });
    return keep + given.length;
  }

  closeContext(cid: bigint): void {
    this.placer.dropContext(cid, this.clock.now());
    this.journal.append({ type: "ctx.closed", cid });
  }

  /** A call begins: its context stands. */
  enqueue({ output, nice, ...whose }: Utterance, listener: BurstListener): Burst {
    const now = this.clock.now();
    const genStart = this.journal.state.contexts.get(whose.cid)?.tokens.length ?? 0;
    const made = { genStart, maxTokens: output.length, sampling: SAMPLING };
    const spec = { class: "interactive" as const, ...whose, ...made, stop: [], ignoreEos: true };
    const burst = this.sched.enqueue(spec, listener, nice, now, now);
    this.#outputs.set(burst.id, output);
    return burst;
  }

  /** Its call is over, or was cancelled. */
  forget(burst: Burst): void {
    this.#outputs.delete(burst.id);
  }

  cancel(burst: Burst): void {
    this.placer.release(burst);
    this.sched.remove(burst, this.clock.now());
    this.forget(burst);
  }

  #token(binding: bigint, index: number): number {
    const burst = this.placer.bound(binding);
    // The engine is a step ahead of a kernel that has taken the burst out.
    return (burst && this.#outputs.get(burst.id)?.[index]) ?? 0;
  }

  #stop(): void {
    void this.#loop.stop();
    this.#end();
  }

  /** The scheduler under a stopwatch. */
  #timed(sched: Scheduler): Scheduler {
    const step = sched.step.bind(sched);
    sched.step = (now) => {
      const { decisions } = sched;
      const before = process.hrtime.bigint();
      const running = step(now);
      if (sched.decisions > decisions) this.decisionNs += Number(process.hrtime.bigint() - before);
      return running;
    };
    return sched;
  }
}

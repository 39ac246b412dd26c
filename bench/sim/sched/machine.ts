/**
 * The kernel on the virtual clock: journal, scheduler, placer, page pool and loop are
 * production's, as it joins them (engines/engine.ts), around the virtual engine; admission
 * before them, and the process table with its supervisor beside them (kernel.ts).
 */
import { memoryJournal } from "../../../kernel/journal/journal.js";
import { validAfterCut } from "../../../kernel/mm/context-truncate.js";
import { evictionPolicy } from "../../../kernel/mm/eviction/policies.js";
import { PageCosts } from "../../../kernel/mm/page-costs.js";
import { Placer } from "../../../kernel/mm/place.js";
import { PagePool } from "../../../kernel/mm/pool.js";
import { Admission } from "../../../kernel/sched/admission.js";
import type { Burst, BurstSpec } from "../../../kernel/sched/burst.js";
import { Loop } from "../../../kernel/sched/loop.js";
import { Place } from "../../../kernel/sched/place.js";
import type { Policy } from "../../../kernel/sched/policy.js";
import { Scheduler } from "../../../kernel/sched/scheduler.js";
import { ContixError } from "../../../proto/errno.js";
import { PAGE_BYTES } from "../replay.js";
import { Generation, type Heard } from "./calls.js";
import { VirtualClock } from "./clock.js";
import type { EngineCost } from "./cost.js";
import { VirtualEngine } from "./engine.js";
import { type VirtualKernel, virtualKernel } from "./kernel.js";

export interface MachineOptions {
  readonly policy: Policy;
  readonly slots: number;
  /** Pages that RAM and the swap file hold. */
  readonly frames: number;
  readonly blocks: number;
  readonly cost: EngineCost;
  /** Generations that may wait for a slot. */
  readonly queueLimit?: number;
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

/** A call: what of its context's history stays, what is put behind it, and what it will say. */
export interface Utterance {
  readonly cid: bigint;
  readonly keep: number;
  readonly given: readonly number[];
  readonly output: readonly number[];
}

/** Of the kernel by default (config.ts). */
const QUEUE_LIMIT = 512;
/** Loads are chosen by who simulates: only the queue bounds them, and what a program was given. */
const LIMITS = {
  processes: 1_000_000,
  processesPerPrincipal: 1_000_000,
  concurrentCallsPerPrincipal: 1_000_000,
};

export class Machine {
  readonly clock = new VirtualClock();
  readonly journal = memoryJournal();
  readonly sched: Scheduler;
  readonly placer: Placer;
  readonly pool: PagePool;
  readonly engine: VirtualEngine;
  readonly admission: Admission;
  readonly kernel: VirtualKernel;
  /** What the host took for the scheduler's decisions, nanoseconds. */
  decisionNs = 0;
  readonly #loop: Loop;
  readonly #outputs = new Map<bigint, readonly number[]>();
  readonly #over: Promise<void>;
  #cids = 0n;
  #end: () => void = () => {};

  constructor(options: MachineOptions) {
    const { policy, slots, frames, blocks, cost, queueLimit = QUEUE_LIMIT } = options;
    this.pool = new PagePool({
      ...{ engineDigest: "sim", pageBytes: PAGE_BYTES, frames, blocks },
      ...{ costs: new PageCosts(PAGE_BYTES), eviction: (ports) => evictionPolicy("agent", ports) },
    });
    const switchCost = (burst: Burst): number => this.placer.switchCost(burst);
    const missing = (burst: Burst): number => this.placer.missing(burst);
    this.sched = new Scheduler({ policy, slots, switchCost, missing });
    this.placer = new Placer(this.journal.state, {
      ...{ slotCount: slots, chunkTokens: CHUNK_TOKENS, pool: this.pool },
    });
    this.admission = new Admission(slots, queueLimit);
    this.kernel = virtualKernel({
      ...{ clock: this.clock, journal: this.journal, limits: LIMITS },
      dropContext: (cid) => this.placer.dropContext(cid, this.clock.now()),
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

  closeContext(cid: bigint): void {
    const context = this.journal.state.contexts.get(cid);
    if (context) this.journal.append(this.kernel.life.close(context));
  }

  /**
   * A process's call begins. The context is changed only when there is a place for the call.
   * EAGAIN with the time after which there should be one.
   */
  generate(pid: bigint, { output, ...change }: Utterance, heard: Heard): Generation {
    const { kernel, sched, placer, admission, clock } = this;
    const process = kernel.procs.get(pid);
    if (!process || process.exit) throw new ContixError("ESRCH", `the process ${pid} is over`);
    const call = kernel.trap.begin(process);
    const place = this.#placeFor(call, () => new Place(admission, clock, process));
    const genStart = this.#become(change);
    const { principal, session: program, class: rank } = process;
    const spec: BurstSpec = {
      ...{ pid, cid: change.cid, principal, program, class: rank, genStart },
      ...{ maxTokens: output.length, sampling: SAMPLING, stop: [], ignoreEos: true },
    };
    const forget = (error?: Error): void => {
      this.#outputs.delete(generation.burst.id);
      heard(error);
    };
    const parts = { kernel, sched, placer, call, place, heard: forget };
    const generation = new Generation(parts, spec);
    this.#outputs.set(generation.burst.id, output);
    return generation;
  }

  #placeFor(call: Generation["call"], take: () => Place): Place {
    try {
      return take();
    } catch (error) {
      call.fail(error);
      throw error;
    }
  }

  /** Cuts the context and puts the given tokens behind the rest. @returns how many it has then */
  #become({ cid, keep, given }: Omit<Utterance, "output">): number {
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

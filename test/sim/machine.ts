/** The kernel's scheduling parts around one driver in this process, on a clock that counts. */
import { expect } from "vitest";
import { memoryJournal } from "../../kernel/journal/journal.js";
import { validAfterCut } from "../../kernel/mm/context-truncate.js";
import { Placer } from "../../kernel/mm/place.js";
import type { PagePool } from "../../kernel/mm/pool.js";
import type { Burst, BurstEnd, BurstSpec } from "../../kernel/sched/burst.js";
import { Loop } from "../../kernel/sched/loop.js";
import type { Policy } from "../../kernel/sched/policy.js";
import { Scheduler } from "../../kernel/sched/scheduler.js";
import type { Swap } from "../../servers/llm/engine/swap.js";
import type { SamplingParams } from "../../servers/llm/sampling/params.js";
import { HashModel, InProcessDriver } from "../support/in-process-driver.js";

/** Tokens of a slot. */
export const WINDOW = 192;
/** What the clock moves when it is looked at, and how often that may be before all is done. */
const TICK = 100;
const LONGEST = 50_000;

export interface Turn {
  readonly given: readonly number[];
  readonly maxTokens: number;
  readonly seed: bigint;
  readonly temperature: number;
}
export function samplingOf({ temperature, seed }: Turn): SamplingParams {
  return {
    temperature,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1.1,
    presencePenalty: 0.2,
    seed,
  };
}

/** Where pages are, when they are anywhere. */
export interface Paged {
  readonly pool: PagePool;
  readonly swap: Swap;
}

export class Machine implements AsyncDisposable {
  readonly journal = memoryJournal();
  readonly driver: InProcessDriver;
  readonly sched: Scheduler;
  readonly placer: Placer;
  readonly loop: Loop;
  /** Rejects when the executor refuses a plan or the loop breaks: nothing would end after that. */
  readonly failed: Promise<never>;
  now = 0;
  readonly #pool: PagePool | undefined;
  #cids = 0n;

  constructor(slots: number, policy: Policy, paged?: Paged, oneWay = false) {
    this.#pool = paged?.pool;
    let fail = (_error: unknown): void => {};
    this.failed = new Promise((_, reject) => {
      fail = reject;
    });
    this.failed.catch(() => {});
    const frames = paged?.pool.frames.count ?? 0;
    const model = (): HashModel => new HashModel(slots, WINDOW, frames, oneWay);
    this.driver = new InProcessDriver(model, fail, paged?.swap);
    const switchCost = (burst: Burst): number => this.placer.switchCost(burst);
    const missing = (burst: Burst): number => this.placer.missing(burst);
    this.sched = new Scheduler({ policy, slots, switchCost, missing });
    this.placer = new Placer(this.journal.state, {
      ...{ slotCount: slots, chunkTokens: 16, oneWay },
      // The driver's clock stands still: what it may gather it tells only when it must.
      gatherUs: () => (this.sched.waiting > 0 ? 0 : 1),
      ...(paged && { pool: paged.pool }),
    });
    const clock = { now: () => this.#tick(), wall: () => 0, after: () => () => {} };
    this.loop = new Loop(this.sched, this.placer, this.driver, this.journal, clock);
    this.loop.start(fail);
  }

  #tick(): number {
    this.now += TICK;
    if (this.now > LONGEST * TICK) throw new Error("a schedule without end");
    return this.now;
  }

  openContext(): bigint {
    const cid = ++this.#cids;
    const belongs = { model: "hash", engine: "hash" };
    this.journal.append({ type: "ctx.created", cid, owner: 1n, handle: 0, ...belongs });
    return cid;
  }

  /** A context with what another has. */
  fork(from: bigint): bigint {
    const cid = ++this.#cids;
    const { length } = this.tokens(from);
    const record = { type: "ctx.forked", cid, from, owner: 1n, handle: 0, length } as const;
    this.journal.append({ ...record, ttlUs: 0, at: 0 });
    this.placer.forked(from, cid);
    return cid;
  }

  cutContext(cid: bigint, length: number): void {
    const context = this.journal.state.contexts.get(cid);
    if (context) this.placer.cutContext(cid, validAfterCut(context, length));
    this.journal.append({ type: "ctx.truncated", cid, length });
  }

  closeContext(cid: bigint): void {
    this.placer.dropContext(cid, this.now);
    this.journal.append({ type: "ctx.closed", cid });
  }

  /** Resolves when the loop has heard of what happened. */
  async settled(): Promise<void> {
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Runs one turn to its end; `onBurst` gets the burst, to disturb it. */
  turn(cid: bigint, turn: Turn, nice: number, onBurst: (burst: Burst) => void): Promise<BurstEnd> {
    this.journal.append({ type: "ctx.given", cid, tokens: turn.given, tail: "text" });
    const context = this.journal.state.contexts.get(cid);
    const genStart = context?.tokens.length ?? 0;
    const spec: BurstSpec = {
      ...{ pid: 1n, cid, program: 1n, principal: "", class: "interactive" },
      genStart,
      maxTokens: Math.min(turn.maxTokens, WINDOW - genStart),
      sampling: samplingOf(turn),
      stop: [],
      ignoreEos: false,
    };
    const over = new Promise<BurstEnd>((resolve) => {
      const progress = (): void => this.invariants();
      const burst = this.sched.enqueue(spec, { progress, end: resolve }, nice, this.now, this.now);
      onBurst(burst);
    });
    return Promise.race([over, this.failed]);
  }

  /** Takes a burst out, as a cancelled call does. */
  cancel(burst: Burst): void {
    this.placer.release(burst);
    this.sched.remove(burst, this.now);
  }

  invariants(): void {
    this.#pool?.invariants();
    const owners = this.placer.table.slots.flatMap((slot) =>
      slot.cid === undefined ? [] : [slot.cid],
    );
    expect(new Set(owners).size).toBe(owners.length);
    for (const slot of this.placer.table.slots) {
      if (slot.binding !== 0n) expect(slot.cid).toBeDefined();
      const context =
        slot.cid === undefined ? undefined : this.journal.state.contexts.get(slot.cid);
      if (slot.cid !== undefined)
        expect(slot.resident).toBeLessThanOrEqual(context?.tokens.length ?? 0);
    }
  }

  tokens(cid: bigint): readonly number[] {
    return [...(this.journal.state.contexts.get(cid)?.tokens ?? [])];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.loop.stop();
    this.driver.stop();
  }
}

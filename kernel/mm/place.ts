/**
 * Placement: turns "these bursts run" into a plan for the driver.
 *
 * A burst without a slot gets the slot where its context's KV still is, else a free one,
 * else the one idle longest, whose context's last tokens are saved before (seating.ts).
 * How its pages come into the slot entrance.ts decides, what it then enters work.ts.
 *
 * A plan stays in force while the driver can go on by itself; `place` returns the same
 * plan until something must change, so nothing is sent between two ordinary steps.
 */
import type { PageDone, Plan } from "../../proto/gen/contix/driver/v1/llm.js";
import type { Burst } from "../sched/burst.js";
import { ChunkPace } from "./chunk-pace.js";
import type { Wait } from "./eviction/policy.js";
import { Expected } from "./expected.js";
import { type Contexts, withoutRuns } from "./one-way.js";
import { PageCosts } from "./page-costs.js";
import { PageOut } from "./page-out.js";
import { Paging } from "./paging.js";
import { PagePool } from "./pool.js";
import { type Draft, Seating } from "./seating.js";
import { SlotTable } from "./slots.js";
import { switchCost } from "./switch-cost.js";
import { type Bound, type Work, workOf } from "./work.js";

/** A plan is renewed this many steps before it runs out, so that the driver never waits. */
const RENEW_STEPS = 4;
/** Full pages wait for a plan that is made for another reason, but not longer than so many steps. */
const SAVE_STEPS = 16;
/** From token to token of a row that decodes beside a chunk, where nobody says: microseconds. */
const INTER_TOKEN_US = 80_000;

export interface Placement {
  readonly slotCount: number;
  /** The prefill chunk before its cost is known, tokens. */
  readonly chunkTokens: number;
  /** What a row should wait for its next token at most while others prefill, microseconds. */
  readonly interTokenUs?: number;
  /** How long the driver may gather steps before it tells of them, microseconds; default: never. */
  readonly gatherUs?: () => number;
  /** Of the driver: Ready.oneWay (one-way.ts). Default: no. */
  readonly oneWay?: boolean;
  /** What is kept outside the slots; without it nothing is. */
  readonly pool?: PagePool;
}

export class Placer {
  readonly table: SlotTable;
  readonly pool: PagePool;
  /** Learns from the steps how long a chunk may be. */
  readonly pace: ChunkPace;
  readonly #state: Contexts;
  readonly #oneWay: boolean;
  readonly #costs: PageCosts;
  readonly #out: PageOut;
  readonly #expected = new Expected();
  readonly #paging: Paging;
  readonly #seating: Seating;
  readonly #gatherUs: () => number;
  #replanAt: Work["replanAt"] = new Map();
  #moreChunks = false;
  #plans = 0n;
  #plan: Plan | undefined;
  #stepsDone = 0;
  #stale = true;

  constructor(contexts: Contexts, placement: Placement) {
    const { slotCount, chunkTokens, interTokenUs = INTER_TOKEN_US, oneWay = false } = placement;
    const state = oneWay ? withoutRuns(contexts) : contexts;
    this.#gatherUs = placement.gatherUs ?? (() => 0);
    this.#state = state;
    this.#oneWay = oneWay;
    this.pace = new ChunkPace(chunkTokens, interTokenUs);
    this.table = new SlotTable(slotCount);
    this.pool = placement.pool ?? PagePool.none();
    this.#costs = new PageCosts(this.pool.pageBytes);
    this.#out = new PageOut(state, this.table, this.pool);
    this.#paging = new Paging(this.table);
    const { table, pool } = this;
    const books = { out: this.#out, paging: this.#paging, expected: this.#expected };
    this.#seating = new Seating({ state, table, pool, ...books });
  }

  /** Tokens that had to enter a slot again, of all contexts. */
  get recomputed(): number {
    return this.#seating.recomputed;
  }

  /** The plan in which exactly `bursts` run, most urgent first; at most one a slot. */
  place(bursts: readonly Burst[], now: number): Plan {
    const gatherUs = this.#gatherUs();
    // A plan that is told of more often than it need be is no reason for another.
    const keeps = this.#plan && !this.#stale && this.#plan.gatherUs <= gatherUs;
    if (this.#plan && keeps && this.#seating.serves(bursts)) return this.#plan;
    this.#seating.leave(bursts);
    const draft: Draft = { now, saves: this.#out.saves(now), copies: [], binds: [], reads: [] };
    this.#seating.seat(bursts, draft);
    const { copies, binds, saves, reads } = draft;
    const writes = this.pool.seal(now);
    const { steps, rows, chunks, replanAt, more } = workOf(this.#running(bursts), this.pace);
    this.#replanAt = replanAt;
    this.#moreChunks = more;
    const pages = { copies, binds, saves, writes, reads };
    const plan = { id: ++this.#plans, steps, rows, chunks, gatherUs, ...pages };
    this.#plan = plan;
    this.#stepsDone = 0;
    this.#stale = false;
    return plan;
  }

  /** The burst of a binding that an outcome names; undefined when it no longer holds. */
  bound(binding: bigint): Burst | undefined {
    return this.#seating.named(binding)?.burst;
  }

  /** Whether a burst that runs is not bound yet: its pages are being read, or computed by another. */
  paging(burst: Burst): boolean {
    return this.#seating.holds(burst);
  }

  slotOf(burst: Burst): number {
    return this.#seating.of(burst)?.slot.index ?? -1;
  }

  /** Notes that a binding's slot now holds `length` tokens; returns how many entered. */
  grew(binding: bigint, length: number): number {
    const entry = this.#seating.named(binding);
    if (!entry) return 0;
    const { slot } = entry;
    const entered = length - slot.resident;
    this.table.setResident(slot, length);
    this.#out.grew(slot);
    if (this.#seating.arrived(slot)) this.#stale = true;
    const at = this.#replanAt.get(binding);
    if (at !== undefined && length >= at) this.#stale = true;
    return entered;
  }

  /** Notes that the plan `id` has done its step `step`. */
  stepped(id: bigint, step: number, last: boolean): void {
    if (this.#plan?.id !== id) return;
    this.#stepsDone = step + 1;
    // An empty plan ends at once; nobody waits for another.
    if (this.#seating.empty) return;
    if (last || this.#stepsDone >= this.#plan.steps - RENEW_STEPS) this.#stale = true;
    if (this.#moreChunks && this.#stepsDone >= this.#plan.chunks.length - 1) this.#stale = true;
    if (this.#out.waiting && this.#stepsDone >= SAVE_STEPS) this.#stale = true;
    // While a prefill goes on its pages would be saved a chunk at a time.
    if (this.#out.many && this.#stepsDone >= this.#plan.chunks.length) this.#stale = true;
  }

  /** Notes that a read or a write of the swap file is over. */
  moved(done: PageDone): void {
    const good = this.pool.done(done);
    if (this.pool.backlog > 0) this.#stale = true;
    if (done.write) return;
    const slot = this.#paging.done(done, good);
    if (!slot) return;
    this.#out.grew(slot);
    if (this.#seating.arrived(slot)) this.#stale = true;
    this.#expected.forget(slot);
    this.#stale = true;
  }

  /** Ends the burst's binding; its context stays in the slot until someone needs it. */
  release(burst: Burst): void {
    if (this.#seating.release(burst)) this.#stale = true;
  }

  /** Brings a context's page table up to its history and its pin, as they are now. */
  walk(cid: bigint): void {
    this.#out.pagesOf(cid);
  }

  /** The context `to` begins as a copy of `from`, which may be in a slot. */
  forked(from: bigint, to: bigint): void {
    if (!this.pool.on) return;
    this.#out.pagesOf(from);
    this.pool.fork(from, to);
    // It may have the first tokens only.
    this.#out.pagesOf(to);
    this.#out.forked(from, to);
  }

  /** The context, which runs nowhere, was cut: only the KV of its first `tokens` is of use. */
  cutContext(cid: bigint, tokens: number): void {
    this.table.cut(cid, tokens);
    this.#paging.cut(cid, tokens);
  }

  /** The context's burst has ended: what its process does now, as far as that is known. */
  waits(cid: bigint, wait: Wait, now: number): void {
    if (this.pool.on) this.pool.waits(cid, wait, now);
  }

  /** The context is gone. */
  dropContext(cid: bigint, now: number): void {
    if (this.#out.leaves(cid, now)) this.#stale = true;
    this.table.drop(cid);
    this.#seating.dropContext(cid);
    if (this.pool.on) this.pool.release(cid, now);
  }

  /** The driver is gone: nothing is bound or resident any more, and nothing in RAM. */
  reset(): void {
    this.#seating.clear();
    this.table.dropAll();
    this.#out.clear();
    this.#paging.clear();
    this.#expected.clear();
    this.pool.lost();
    this.#plan = undefined;
    this.#stale = true;
  }

  /** What it costs to take a running burst's slot and to give it one again, in tokens generated. */
  switchCost({ spec: { cid, genStart }, generatedSoFar: generated }: Burst): number {
    const { pool } = this;
    const kept = pool.residency(cid);
    const length = this.#oneWay
      ? { given: genStart + generated, generated: 0 }
      : { given: genStart, generated };
    return switchCost(length, kept, pool.frames.free, this.#costs);
  }

  /** Given tokens of a burst that comes which are neither in its context's slot nor kept. */
  missing({ spec: { cid, genStart } }: Burst): number {
    this.walk(cid);
    const resident = this.table.of(cid)?.resident ?? 0;
    return Math.max(0, genStart - Math.max(resident, this.pool.lengthOf(cid)));
  }

  /** The driver has this room for pages: if it is another than before, none is kept any more. */
  fit({ frames, blocks }: { readonly frames: number; readonly blocks: number }): void {
    if (frames === this.pool.frames.count && blocks === this.pool.blocks.count) return;
    this.pool.lost();
    this.pool.refit(frames, blocks);
  }

  #running(bursts: readonly Burst[]): Bound[] {
    return bursts.flatMap((burst) => {
      const binding = this.#seating.of(burst);
      if (!binding) return [];
      const { name, slot } = binding;
      const context = this.#state.contexts.get(burst.spec.cid);
      if (!context) throw new Error(`burst ${burst.id} runs on a context that is gone`);
      return [{ binding: name, slot: slot.index, context, resident: slot.resident }];
    });
  }
}

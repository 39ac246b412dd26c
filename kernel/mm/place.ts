/**
 * Placement: turns "these bursts run" into a plan for the driver.
 *
 * A burst without a slot gets the slot where its context's KV still is, else a free one,
 * else the one idle longest, whose context's last tokens are saved before. How its pages
 * come into the slot entrance.ts decides, what it then enters work.ts. A burst may have
 * to wait: for reads of the swap file, for a page that another burst is computing, for a
 * slot that is still being read into. It is then chosen and not bound, until what it
 * waits for has happened.
 *
 * A plan stays in force while the driver can go on by itself; `place` returns the same
 * plan until something must change, so nothing is sent between two ordinary steps.
 */
import type {
  Bind,
  Copy,
  PageDone,
  PageRead,
  PageSave,
  Plan,
} from "../../proto/gen/contix/driver/v1/llm.js";
import type { Context, ReadonlyState } from "../journal/journal.js";
import type { Burst } from "../sched/burst.js";
import { ChunkPace } from "./chunk-pace.js";
import { type Entrance, entrance, type Source } from "./entrance.js";
import type { Wait } from "./eviction/policy.js";
import { Expected } from "./expected.js";
import { keepable } from "./feed.js";
import { PAGE_TOKENS, type Page } from "./page.js";
import { PageOut } from "./page-out.js";
import { Paging } from "./paging.js";
import { PagePool } from "./pool.js";
import { type Slot, SlotTable } from "./slots.js";
import { wireBurst } from "./wire-burst.js";
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
  /** What is kept outside the slots; without it nothing is. */
  readonly pool?: PagePool;
}

/** A plan that is being made. */
interface Draft {
  readonly now: number;
  readonly saves: PageSave[];
  readonly copies: Copy[];
  readonly binds: Bind[];
  readonly reads: PageRead[];
}

interface Binding {
  readonly name: bigint;
  readonly burst: Burst;
  readonly slot: Slot;
}

export class Placer {
  readonly table: SlotTable;
  readonly pool: PagePool;
  /** Tokens that had to enter a slot again, of all contexts. */
  recomputed = 0;
  /** Learns from the steps how long a chunk may be. */
  readonly pace: ChunkPace;
  readonly #state: ReadonlyState;
  readonly #out: PageOut;
  readonly #expected = new Expected();
  readonly #paging: Paging;
  readonly #bound = new Map<bigint, Binding>();
  readonly #byBurst = new Map<bigint, Binding>();
  /** Bursts that run and can not be bound yet, and the page that each waits for, if it is that. */
  readonly #held = new Map<bigint, Page | undefined>();
  /** Contexts whose saved tail is in their slot again. */
  readonly #oldTails = new Set<bigint>();
  #replanAt: Work["replanAt"] = new Map();
  #moreChunks = false;
  #bindings = 0n;
  #plans = 0n;
  #plan: Plan | undefined;
  #stepsDone = 0;
  #stale = true;

  constructor(state: ReadonlyState, placement: Placement) {
    const { slotCount, chunkTokens, interTokenUs = INTER_TOKEN_US } = placement;
    this.#state = state;
    this.pace = new ChunkPace(chunkTokens, interTokenUs);
    this.table = new SlotTable(slotCount);
    this.pool = placement.pool ?? PagePool.none();
    this.#out = new PageOut(state, this.table, this.pool);
    this.#paging = new Paging(this.table);
  }

  /** The plan in which exactly `bursts` run, most urgent first; at most one a slot. */
  place(bursts: readonly Burst[], now: number): Plan {
    if (this.#plan && !this.#stale && this.#same(bursts)) return this.#plan;
    for (const cid of this.#oldTails) this.pool.releaseTail(cid);
    this.#oldTails.clear();
    this.#leave(bursts);
    this.#held.clear();
    const draft: Draft = { now, saves: this.#out.saves(now), copies: [], binds: [], reads: [] };
    const entering = bursts.filter((burst) => !this.#byBurst.has(burst.id));
    // Whoever finds its own KV keeps that slot; only then are idle slots given away.
    const home = (burst: Burst): Slot | undefined => this.table.of(burst.spec.cid);
    const [athome, away] = [entering.filter(home), entering.filter((burst) => !home(burst))];
    for (const burst of athome) this.#enter(burst, home(burst), draft);
    for (const burst of away) this.#enter(burst, this.table.available(), draft);
    this.#compact(bursts, draft);
    const { copies, binds, saves, reads } = draft;
    const writes = this.pool.seal(now);
    const { steps, rows, chunks, replanAt, more } = workOf(this.#running(bursts), this.pace);
    this.#replanAt = replanAt;
    this.#moreChunks = more;
    this.#plan = { id: ++this.#plans, steps, copies, binds, rows, chunks, saves, writes, reads };
    this.#stepsDone = 0;
    this.#stale = false;
    return this.#plan;
  }

  /** The burst of a binding that an outcome names; undefined when it no longer holds. */
  bound(binding: bigint): Burst | undefined {
    return this.#bound.get(binding)?.burst;
  }

  /** Whether a burst that runs is not bound yet: its pages are being read, or computed by another. */
  paging(burst: Burst): boolean {
    return this.#held.has(burst.id);
  }

  slotOf(burst: Burst): number {
    return this.#byBurst.get(burst.id)?.slot.index ?? -1;
  }

  /** Notes that a binding's slot now holds `length` tokens; returns how many entered. */
  grew(binding: bigint, length: number): number {
    const entry = this.#bound.get(binding);
    if (!entry) return 0;
    const { slot } = entry;
    const entered = length - slot.resident;
    this.table.setResident(slot, length);
    this.#out.grew(slot);
    this.#arrived(slot);
    const at = this.#replanAt.get(binding);
    if (at !== undefined && length >= at) this.#stale = true;
    return entered;
  }

  /** Notes that the plan `id` has done its step `step`. */
  stepped(id: bigint, step: number, last: boolean): void {
    if (this.#plan?.id !== id) return;
    this.#stepsDone = step + 1;
    // An empty plan ends at once; nobody waits for another.
    if (this.#byBurst.size === 0) return;
    if (last || this.#stepsDone >= this.#plan.steps - RENEW_STEPS) this.#stale = true;
    if (this.#moreChunks && this.#stepsDone >= this.#plan.chunks.length - 1) this.#stale = true;
    if (this.#out.waiting && this.#stepsDone >= SAVE_STEPS) this.#stale = true;
  }

  /** Notes that a read or a write of the swap file is over. */
  moved(done: PageDone): void {
    const good = this.pool.done(done);
    if (this.pool.backlog > 0) this.#stale = true;
    if (done.write) return;
    const slot = this.#paging.done(done, good);
    if (!slot) return;
    this.#out.grew(slot);
    this.#arrived(slot);
    this.#expected.forget(slot);
    this.#stale = true;
  }

  /** Ends the burst's binding; its context stays in the slot until someone needs it. */
  release(burst: Burst): void {
    if (this.#held.delete(burst.id)) this.#stale = true;
    const binding = this.#byBurst.get(burst.id);
    if (!binding) return;
    binding.slot.binding = 0n;
    this.#expected.forget(binding.slot);
    this.#bound.delete(binding.name);
    this.#byBurst.delete(burst.id);
    this.#stale = true;
  }

  /** The context `to` begins as a copy of `from`, which may be in a slot. */
  forked(from: bigint, to: bigint): void {
    if (!this.pool.on) return;
    this.#out.pagesOf(from);
    this.pool.fork(from, to);
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
    this.table.drop(cid);
    this.#oldTails.delete(cid);
    if (this.pool.on) this.pool.release(cid, now);
  }

  /** The driver is gone: nothing is bound or resident any more, and nothing in RAM. */
  reset(): void {
    for (const { burst } of [...this.#bound.values()]) this.release(burst);
    this.table.dropAll();
    this.#out.clear();
    this.#paging.clear();
    this.#expected.clear();
    this.#held.clear();
    this.#oldTails.clear();
    this.pool.lost();
    this.#plan = undefined;
    this.#stale = true;
  }

  /** The part of a context's full pages that is kept nowhere: what a switch would throw away. */
  lostShare(cid: bigint): number {
    if (!this.pool.on) return 1;
    const { pages, frames, blocks } = this.pool.residency(cid);
    return pages === 0 ? 0 : 1 - (frames + blocks) / pages;
  }

  /** The driver has this room for pages: if it is another than before, none is kept any more. */
  fit({ frames, blocks }: { readonly frames: number; readonly blocks: number }): void {
    if (frames === this.pool.frames.count && blocks === this.pool.blocks.count) return;
    this.pool.lost();
    this.pool.refit(frames, blocks);
  }

  #same(bursts: readonly Burst[]): boolean {
    return (
      bursts.length === this.#byBurst.size + this.#held.size &&
      bursts.every(({ id }) => this.#byBurst.has(id) || this.#held.has(id))
    );
  }

  #leave(bursts: readonly Burst[]): void {
    const staying = new Set(bursts.map((burst) => burst.id));
    for (const { burst } of [...this.#bound.values()]) {
      if (!staying.has(burst.id)) this.release(burst);
    }
  }

  /** Whoever waits for a page that has come can go on. */
  #arrived(slot: Slot): void {
    const came = this.#expected.arrived(slot, slot.resident);
    if (came.length === 0 || this.#held.size === 0) return;
    for (const page of this.#held.values()) if (page && came.includes(page)) this.#stale = true;
  }

  /** Binds a burst to `slot`, or begins what must come before that. */
  #enter(burst: Burst, slot: Slot | undefined, draft: Draft): void {
    const { cid } = burst.spec;
    const context = this.#contextOf(burst);
    if (!slot || slot.reads > 0) {
      this.#held.set(burst.id, undefined);
      return;
    }
    const own = slot.cid === cid ? Math.min(slot.resident, context.tokens.length) : 0;
    const pages = this.#out.pagesOf(cid);
    const way = entrance(
      { history: context, pages, tail: this.pool.tailOf(cid), own },
      {
        bring: (page) => this.#bring(page, cid, draft),
        pin: (page) => this.pool.pin(page),
        load: (page, tokens) => this.pool.load(page, tokens),
      },
    );
    if (way.how === "wait") {
      this.#held.set(burst.id, way.until);
      return;
    }
    if (slot.cid !== cid) this.#take(slot, cid, draft);
    if (way.how === "read") this.#read(burst, slot, way, draft);
    else this.#bind(burst, slot, way, pages, draft);
  }

  #bring(page: Page, cid: bigint, { saves, now }: Draft): Source {
    if (page.frame >= 0) return "frame";
    const save = this.#out.saveFromSlot(page, cid, now);
    if (save) {
      saves.push(save);
      return "frame";
    }
    if (this.#expected.has(page)) return "soon";
    return page.block >= 0 && !page.writing ? "block" : "nowhere";
  }

  /** Gives an idle slot to a context; what it holds is kept as far as there is room. */
  #take(slot: Slot, cid: bigint, { saves, now }: Draft): void {
    const save = this.#out.saveTail(slot, now);
    if (save) saves.push(save);
    this.table.assign(slot, cid);
  }

  #read(burst: Burst, slot: Slot, way: Entrance & { how: "read" }, { binds, reads }: Draft): void {
    const { keep, loads, pages } = way;
    const start = keep + loads.length * PAGE_TOKENS;
    binds.push({ slot: slot.index, keep, burst: undefined, loads });
    for (const page of pages) reads.push(this.pool.read(page, slot.index));
    this.table.setResident(slot, start);
    this.#paging.begin(slot, burst.spec.cid, start, pages.length);
    this.#expected.expect(slot, pages);
    this.#held.set(burst.id, undefined);
  }

  #bind(
    burst: Burst,
    slot: Slot,
    { keep, loads, length }: Pick<Entrance & { how: "bind" }, "keep" | "loads" | "length">,
    pages: readonly Page[],
    { now, binds }: Draft,
  ): void {
    const { cid } = burst.spec;
    const before = Math.min(this.table.highWater(cid), this.#contextOf(burst).tokens.length);
    const binding = { name: ++this.#bindings, burst, slot };
    slot.binding = binding.name;
    slot.lastUsed = now;
    this.table.setResident(slot, length);
    this.#bound.set(binding.name, binding);
    this.#byBurst.set(burst.id, binding);
    const full = Math.floor(length / PAGE_TOKENS);
    this.#expected.expect(slot, pages.slice(full));
    if (burst.cached < 0) {
      burst.cached = length;
      this.pool.runs(cid, now);
      this.pool.counters.hits += full;
      this.pool.counters.misses += pages.length - Math.min(full, pages.length);
    }
    burst.recomputed += Math.max(0, before - length);
    this.recomputed += Math.max(0, before - length);
    this.#oldTails.add(cid);
    binds.push({ slot: slot.index, keep, burst: wireBurst(binding.name, burst), loads });
  }

  /**
   * Closes a hole: the running burst in the highest slot moves to the lowest free
   * one, since a decode step computes every slot up to the highest. One a plan.
   */
  #compact(bursts: readonly Burst[], draft: Draft): void {
    const hole = this.table.slots.find((slot) => slot.cid === undefined && slot.reads === 0);
    let highest: Binding | undefined;
    for (const entry of this.#bound.values()) {
      if (!highest || entry.slot.index > highest.slot.index) highest = entry;
    }
    if (!hole || !highest || hole.index > highest.slot.index) return;
    const { burst, slot } = highest;
    if (slot.index < bursts.length) return;
    // A binding of this very plan has no driver state yet: it may simply go elsewhere next time.
    if (draft.binds.some((bind) => bind.slot === slot.index)) return;
    const tokens = slot.resident;
    this.release(burst);
    draft.copies.push({ fromSlot: slot.index, toSlot: hole.index, tokens });
    const { kept } = slot;
    this.table.assign(hole, burst.spec.cid);
    this.table.setResident(hole, tokens);
    hole.kept = kept;
    const keep = keepable(this.#contextOf(burst), tokens);
    const pages = this.#out.pagesOf(burst.spec.cid);
    this.#bind(burst, hole, { keep, loads: [], length: keep }, pages, draft);
  }

  #running(bursts: readonly Burst[]): Bound[] {
    return bursts.flatMap((burst) => {
      const binding = this.#byBurst.get(burst.id);
      if (!binding) return [];
      const { name, slot } = binding;
      const context = this.#contextOf(burst);
      return [{ binding: name, slot: slot.index, context, resident: slot.resident }];
    });
  }

  #contextOf(burst: Burst): Context {
    const context = this.#state.contexts.get(burst.spec.cid);
    if (!context) throw new Error(`burst ${burst.id} runs on a context that is gone`);
    return context;
  }
}

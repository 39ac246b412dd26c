/**
 * Seating: which bursts have a slot, and how they come into one.
 *
 * A burst that enters gets a binding: until it leaves the slot, or moves to another, what
 * the driver says of it is said by that name. A burst may have to wait: for reads of the
 * swap file, for a page that another burst is computing, for a slot that is still being
 * read into. It is then held: chosen and not bound, until what it waits for has happened.
 */
import type { Bind, Copy, PageRead, PageSave } from "../../proto/gen/contix/driver/v1/llm.js";
import type { Context } from "../journal/journal.js";
import type { Burst } from "../sched/burst.js";
import { type Entrance, entrance, type Source } from "./entrance.js";
import type { Expected } from "./expected.js";
import { keepable } from "./feed.js";
import type { Contexts } from "./one-way.js";
import { PAGE_TOKENS, type Page } from "./page.js";
import type { PageOut } from "./page-out.js";
import type { Paging } from "./paging.js";
import type { PagePool } from "./pool.js";
import type { Slot, SlotTable } from "./slots.js";
import { wireBurst } from "./wire-burst.js";

/** A plan that is being made. */
export interface Draft {
  readonly now: number;
  readonly saves: PageSave[];
  readonly copies: Copy[];
  readonly binds: Bind[];
  readonly reads: PageRead[];
}

/** A burst in its slot. */
export interface Binding {
  readonly name: bigint;
  readonly burst: Burst;
  readonly slot: Slot;
}

export interface SeatingParts {
  readonly state: Contexts;
  readonly table: SlotTable;
  readonly pool: PagePool;
  readonly out: PageOut;
  readonly paging: Paging;
  readonly expected: Expected;
}

export class Seating {
  /** Tokens that had to enter a slot again, of all contexts. */
  recomputed = 0;
  readonly #parts: SeatingParts;
  readonly #bound = new Map<bigint, Binding>();
  readonly #byBurst = new Map<bigint, Binding>();
  /** Bursts that run and can not be bound yet, and the page that each waits for, if it is that. */
  readonly #held = new Map<bigint, Page | undefined>();
  /** Contexts whose saved tail is in their slot again. */
  readonly #oldTails = new Set<bigint>();
  #bindings = 0n;

  constructor(parts: SeatingParts) {
    this.#parts = parts;
  }

  /** Whether no burst has a slot. */
  get empty(): boolean {
    return this.#byBurst.size === 0;
  }

  /** What a binding's name means, while it holds. */
  named(name: bigint): Binding | undefined {
    return this.#bound.get(name);
  }

  of(burst: Burst): Binding | undefined {
    return this.#byBurst.get(burst.id);
  }

  /** Whether a burst that runs is not bound yet: its pages are being read, or computed by another. */
  holds(burst: Burst): boolean {
    return this.#held.has(burst.id);
  }

  /** Whether exactly these run. */
  serves(bursts: readonly Burst[]): boolean {
    return (
      bursts.length === this.#byBurst.size + this.#held.size &&
      bursts.every((burst) => this.#byBurst.has(burst.id) || this.holds(burst))
    );
  }

  /** Another plan is to be made: who does not run in it leaves. */
  leave(bursts: readonly Burst[]): void {
    for (const cid of this.#oldTails) this.#parts.pool.releaseTail(cid);
    this.#oldTails.clear();
    const staying = new Set(bursts.map(({ id }) => id));
    for (const { burst } of [...this.#bound.values()]) {
      if (!staying.has(burst.id)) this.release(burst);
    }
    this.#held.clear();
  }

  /** Those who have no slot get one, as far as there are any; one moves to close a hole. */
  seat(bursts: readonly Burst[], draft: Draft): void {
    const { table } = this.#parts;
    const entering = bursts.filter((burst) => !this.#byBurst.has(burst.id));
    // Whoever finds its own KV keeps that slot; only then are idle slots given away.
    const home = (burst: Burst): Slot | undefined => table.of(burst.spec.cid);
    const [athome, away] = [entering.filter(home), entering.filter((burst) => !home(burst))];
    for (const burst of athome) this.#enter(burst, home(burst), draft);
    for (const burst of away) this.#enter(burst, table.available(), draft);
    this.#compact(bursts, draft);
  }

  /** Ends the burst's binding, or its waiting. @returns whether there was any */
  release(burst: Burst): boolean {
    const held = this.#held.delete(burst.id);
    const binding = this.#byBurst.get(burst.id);
    if (!binding) return held;
    binding.slot.binding = 0n;
    this.#parts.expected.forget(binding.slot);
    this.#bound.delete(binding.name);
    this.#byBurst.delete(burst.id);
    return true;
  }

  /** The slot has more than before. @returns whether somebody who waited for that can go on */
  arrived(slot: Slot): boolean {
    const came = this.#parts.expected.arrived(slot, slot.resident);
    if (came.length === 0) return false;
    return [...this.#held.values()].some((page) => page !== undefined && came.includes(page));
  }

  /** The context is gone. */
  dropContext(cid: bigint): void {
    this.#oldTails.delete(cid);
  }

  /** The driver is gone. */
  clear(): void {
    for (const { burst } of [...this.#bound.values()]) this.release(burst);
    this.#held.clear();
    this.#oldTails.clear();
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
    const pages = this.#parts.out.pagesOf(cid);
    const way = entrance(
      { history: context, pages, tail: this.#parts.pool.tailOf(cid), own },
      {
        bring: (page) => this.#bring(page, cid, draft),
        pin: (page) => this.#parts.pool.pin(page),
        load: (page, tokens) => this.#parts.pool.load(page, tokens),
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
    const save = this.#parts.out.saveFromSlot(page, cid, now);
    if (save) {
      saves.push(save);
      return "frame";
    }
    if (this.#parts.expected.has(page)) return "soon";
    return page.block >= 0 && !page.writing ? "block" : "nowhere";
  }

  /** Gives an idle slot to a context; what it holds is kept as far as there is room. */
  #take(slot: Slot, cid: bigint, { saves, now }: Draft): void {
    const save = this.#parts.out.saveTail(slot, now);
    if (save) saves.push(save);
    this.#parts.table.assign(slot, cid);
  }

  #read(burst: Burst, slot: Slot, way: Entrance & { how: "read" }, { binds, reads }: Draft): void {
    const { keep, loads, pages } = way;
    const start = keep + loads.length * PAGE_TOKENS;
    binds.push({ slot: slot.index, keep, burst: undefined, loads });
    for (const page of pages) reads.push(this.#parts.pool.read(page, slot.index));
    this.#parts.table.setResident(slot, start);
    this.#parts.paging.begin(slot, burst.spec.cid, start, pages.length);
    this.#parts.expected.expect(slot, pages);
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
    const before = Math.min(this.#parts.table.highWater(cid), this.#contextOf(burst).tokens.length);
    const binding = { name: ++this.#bindings, burst, slot };
    slot.binding = binding.name;
    slot.lastUsed = now;
    this.#parts.table.setResident(slot, length);
    this.#bound.set(binding.name, binding);
    this.#byBurst.set(burst.id, binding);
    const full = Math.floor(length / PAGE_TOKENS);
    this.#parts.expected.expect(slot, pages.slice(full));
    if (burst.cached < 0) {
      burst.cached = length;
      this.#parts.pool.runs(cid, now);
      this.#parts.pool.counters.hits += full;
      this.#parts.pool.counters.misses += pages.length - Math.min(full, pages.length);
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
    const hole = this.#parts.table.slots.find((slot) => slot.cid === undefined && slot.reads === 0);
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
    this.#parts.table.assign(hole, burst.spec.cid);
    this.#parts.table.setResident(hole, tokens);
    hole.kept = kept;
    const keep = keepable(this.#contextOf(burst), tokens);
    const pages = this.#parts.out.pagesOf(burst.spec.cid);
    this.#bind(burst, hole, { keep, loads: [], length: keep }, pages, draft);
  }

  #contextOf(burst: Burst): Context {
    const context = this.#parts.state.contexts.get(burst.spec.cid);
    if (!context) throw new Error(`burst ${burst.id} runs on a context that is gone`);
    return context;
  }
}

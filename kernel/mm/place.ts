/**
 * Placement: turns "these bursts run" into a plan for the driver.
 *
 * A burst without a slot gets the slot where its context's KV still is, else a
 * free one, else the one idle longest. Then each burst contributes its next
 * segment (feed.ts): generated tokens as a decode row, given ones as prefill
 * chunks, one chunk a step, those of the most urgent burst first. A plan stays in
 * force while the driver can go on by itself; `place` returns the same plan until
 * something must change, so nothing is sent between two ordinary steps.
 */
import type {
  Plan,
  PrefillChunk,
  Row,
  Burst as WireBurst,
} from "../../proto/gen/contix/driver/v1/llm.js";
import type { ReadonlyState } from "../journal/journal.js";
import type { Burst } from "../sched/burst.js";
import { ChunkPace } from "./chunk-pace.js";
import { chunkSize, keepable, segments } from "./feed.js";
import { type Slot, SlotTable } from "./slots.js";

/** Steps a plan is valid for when nothing happens. */
const PLAN_STEPS = 64;
/** A plan is renewed this many steps before it runs out, so that the driver never waits. */
const RENEW_STEPS = 4;
/** Prefill chunks in one plan. */
const PLAN_CHUNKS = 8;
/** From token to token of a row that decodes beside a chunk, where nobody says: microseconds. */
const INTER_TOKEN_US = 80_000;

export interface Placement {
  readonly slotCount: number;
  /** The prefill chunk before its cost is known, tokens. */
  readonly chunkTokens: number;
  /** What a row should wait for its next token at most while others prefill, microseconds. */
  readonly interTokenUs?: number;
}

export class Placer {
  readonly table: SlotTable;
  /** Tokens that had to enter a slot again, of all contexts. */
  recomputed = 0;
  /** Learns from the steps how long a chunk may be. */
  readonly pace: ChunkPace;
  readonly #state: ReadonlyState;
  readonly #bound = new Map<bigint, { burst: Burst; slot: Slot }>();
  readonly #byBurst = new Map<bigint, bigint>();
  /** Bindings whose burst needs another plan when its slot holds this many tokens. */
  readonly #replanAt = new Map<bigint, number>();
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
  }

  /** The plan in which exactly `bursts` run, most urgent first; at most one a slot. */
  place(bursts: readonly Burst[], now: number): Plan {
    if (this.#plan && !this.#stale && this.#same(bursts)) return this.#plan;
    const copies: Plan["copies"] = [];
    const binds: Plan["binds"] = [];
    this.#leave(bursts);
    const entering = bursts.filter((burst) => !this.#byBurst.has(burst.id));
    // Whoever finds its own KV keeps that slot; only then are idle slots given away.
    for (const burst of entering) {
      const slot = this.table.of(burst.spec.cid);
      if (slot) this.#bind(burst, slot, binds, now);
    }
    for (const burst of entering) {
      if (this.#byBurst.has(burst.id)) continue;
      const slot = this.table.available();
      if (!slot) continue;
      this.table.assign(slot, burst.spec.cid);
      this.#bind(burst, slot, binds, now);
    }
    this.#compact(bursts, copies, binds, now);
    const pages = { saves: [], writes: [], reads: [] };
    this.#plan = { id: ++this.#plans, copies, binds, ...pages, ...this.#work(bursts) };
    this.#stepsDone = 0;
    this.#stale = false;
    return this.#plan;
  }

  /** The burst of a binding that an outcome names; undefined when it no longer holds. */
  bound(binding: bigint): Burst | undefined {
    return this.#bound.get(binding)?.burst;
  }

  slotOf(burst: Burst): number {
    const binding = this.#byBurst.get(burst.id);
    return binding === undefined ? -1 : (this.#bound.get(binding)?.slot.index ?? -1);
  }

  /** Notes that a binding's slot now holds `length` tokens; returns how many entered. */
  grew(binding: bigint, length: number): number {
    const entry = this.#bound.get(binding);
    if (!entry) return 0;
    const entered = length - entry.slot.resident;
    this.table.setResident(entry.slot, length);
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
    // More chunks wait than the plan had room for.
    if (this.#replanAt.has(0n) && this.#stepsDone >= this.#plan.chunks.length - 1) {
      this.#stale = true;
    }
  }

  /** Ends the burst's binding; its context stays in the slot until someone needs it. */
  release(burst: Burst): void {
    const binding = this.#byBurst.get(burst.id);
    if (binding === undefined) return;
    const entry = this.#bound.get(binding);
    if (entry) entry.slot.binding = 0n;
    this.#bound.delete(binding);
    this.#byBurst.delete(burst.id);
    this.#replanAt.delete(binding);
    this.#stale = true;
  }

  /** The context was cut; `tokens` of its KV are still as its history says. No burst runs on it. */
  cutContext(cid: bigint, tokens: number): void {
    this.table.cut(cid, tokens);
  }

  /** The context is gone. */
  dropContext(cid: bigint): void {
    this.table.drop(cid);
  }

  /** The driver is gone: nothing is bound or resident any more. */
  reset(): void {
    for (const { burst } of [...this.#bound.values()]) this.release(burst);
    this.table.dropAll();
    this.#plan = undefined;
    this.#stale = true;
  }

  #same(bursts: readonly Burst[]): boolean {
    return (
      bursts.length === this.#byBurst.size && bursts.every((burst) => this.#byBurst.has(burst.id))
    );
  }

  #leave(bursts: readonly Burst[]): void {
    const staying = new Set(bursts.map((burst) => burst.id));
    for (const { burst } of [...this.#bound.values()]) {
      if (!staying.has(burst.id)) this.release(burst);
    }
  }

  #bind(burst: Burst, slot: Slot, binds: Plan["binds"], now: number): void {
    const context = this.#state.contexts.get(burst.spec.cid);
    if (!context) throw new Error(`burst ${burst.id} runs on a context that is gone`);
    const keep = keepable(context, slot.resident);
    const before = Math.min(this.table.highWater(burst.spec.cid), context.tokens.length);
    const binding = ++this.#bindings;
    slot.binding = binding;
    slot.lastUsed = now;
    slot.resident = keep;
    this.#bound.set(binding, { burst, slot });
    this.#byBurst.set(burst.id, binding);
    if (burst.cached < 0) burst.cached = keep;
    burst.recomputed += Math.max(0, before - keep);
    this.recomputed += Math.max(0, before - keep);
    binds.push({ slot: slot.index, keep, burst: wireBurst(binding, burst), loads: [] });
  }

  /**
   * Closes a hole: the running burst in the highest slot moves to the lowest free
   * one, since a decode step computes every slot up to the highest. One a plan.
   */
  #compact(bursts: readonly Burst[], copies: Plan["copies"], binds: Plan["binds"], now: number) {
    const hole = this.table.slots.find((slot) => slot.cid === undefined);
    let highest: { burst: Burst; slot: Slot } | undefined;
    for (const entry of this.#bound.values()) {
      if (!highest || entry.slot.index > highest.slot.index) highest = entry;
    }
    if (!hole || !highest || hole.index > highest.slot.index) return;
    if (highest.slot.index < bursts.length || copies.length > 0) return;
    // A binding of this very plan has no driver state yet: it may simply go elsewhere next time.
    if (binds.some((bind) => bind.slot === highest.slot.index)) return;
    const { burst, slot } = highest;
    const tokens = slot.resident;
    this.release(burst);
    copies.push({ fromSlot: slot.index, toSlot: hole.index, tokens });
    this.table.assign(hole, burst.spec.cid);
    this.table.setResident(hole, tokens);
    this.#bind(burst, hole, binds, now);
  }

  #work(bursts: readonly Burst[]): Pick<Plan, "steps" | "rows" | "chunks"> {
    const rows: Row[] = [];
    const chunks: PrefillChunk[] = [];
    this.#replanAt.clear();
    const feeds = bursts.flatMap((burst) => this.#feed(burst));
    for (const feed of feeds) if (feed.how === "decode") rows.push(this.#row(feed));
    const preferred = this.pace.size(rows.length);
    for (const feed of feeds) if (feed.how === "prefill") this.#chunks(feed, preferred, chunks);
    return { steps: PLAN_STEPS, rows, chunks };
  }

  #feed(burst: Burst): Feed[] {
    const binding = this.#byBurst.get(burst.id);
    const slot = binding === undefined ? undefined : this.#bound.get(binding)?.slot;
    const context = this.#state.contexts.get(burst.spec.cid);
    if (binding === undefined || !slot || !context) return [];
    const todo = segments(context, slot.resident);
    const first = todo[0];
    if (!first) throw new Error(`burst ${burst.id} has nothing to feed`);
    const sample = todo.length === 1;
    if (!sample) this.#replanAt.set(binding, first.end);
    return [{ binding, slot: slot.index, tokens: context.tokens, ...first, sample }];
  }

  #row(feed: Feed): Row {
    return {
      burst: feed.binding,
      slot: feed.slot,
      forcedStart: feed.start,
      forced: feed.tokens.slice(feed.start, feed.end),
      sample: feed.sample,
    };
  }

  #chunks(feed: Feed, preferred: number, out: PrefillChunk[]): void {
    for (let at = feed.start; at < feed.end; ) {
      if (out.length === PLAN_CHUNKS) {
        this.#replanAt.set(0n, 0);
        return;
      }
      const end = at + chunkSize(feed.end - at, preferred);
      out.push({
        burst: feed.binding,
        slot: feed.slot,
        start: at,
        tokens: feed.tokens.slice(at, end),
        sample: feed.sample && end === feed.end,
      });
      at = end;
    }
  }
}

interface Feed {
  readonly binding: bigint;
  readonly slot: number;
  readonly tokens: readonly number[];
  readonly start: number;
  readonly end: number;
  readonly how: "prefill" | "decode";
  readonly sample: boolean;
}

function wireBurst(binding: bigint, burst: Burst): WireBurst {
  const { genStart, maxTokens, sampling, stop, ignoreEos } = burst.spec;
  return { id: binding, genStart, maxTokens, ...sampling, stop: [...stop], ignoreEos };
}

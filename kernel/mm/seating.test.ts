/** Compaction, held against slots that are plain lists of tokens: what a driver has after each plan. */
import { describe, expect, it } from "vitest";
import type { Plan } from "../../proto/gen/contix/driver/v1/llm.js";
import { memoryJournal } from "../journal/journal.js";
import type { Burst } from "../sched/burst.js";
import { newBurst } from "../sched/new-burst.js";
import { NOBODY, specOf } from "../sched/testing/bursts.js";
import { Placer } from "./place.js";

const GIVEN = 20;

class World {
  readonly placer: Placer;
  readonly slots: number[][];
  readonly #journal = memoryJournal();
  #bursts = 0;
  #plan: Plan | undefined;

  constructor(slotCount: number) {
    this.placer = new Placer(this.#journal.state, { slotCount, chunkTokens: 64 });
    this.slots = Array.from({ length: slotCount }, () => []);
  }

  /** A burst on a fresh context of GIVEN tokens that no other has. */
  arrive(): Burst {
    const cid = BigInt(this.#bursts + 1);
    const belongs = { owner: 1n, handle: 0, model: "m", engine: "e" };
    this.#journal.append({ type: "ctx.created", cid, ...belongs });
    const tokens = Array.from({ length: GIVEN }, (_, i) => Number(cid) * 1000 + i);
    this.#journal.append({ type: "ctx.given", cid, tokens, tail: "text" });
    return this.burstOn(cid);
  }

  burstOn(cid: bigint): Burst {
    const genStart = this.tokens(cid).length;
    return newBurst(++this.#bursts, specOf(cid, { genStart }), NOBODY, 0, 0, 0);
  }

  tokens(cid: bigint): readonly number[] {
    return this.#journal.state.contexts.get(cid)?.tokens ?? [];
  }

  /** These run: everything that the plan says enters the slots, in the driver's order. */
  place(bursts: readonly Burst[]): Plan {
    const plan = this.placer.place(bursts, 1);
    if (plan === this.#plan) return plan;
    this.#plan = plan;
    for (const { fromSlot, toSlot, tokens } of plan.copies) {
      expect(this.#slot(fromSlot).length).toBeGreaterThanOrEqual(tokens);
      this.slots[toSlot] = this.#slot(fromSlot).slice(0, tokens);
    }
    for (const { slot, keep } of plan.binds) {
      expect(this.#slot(slot).length).toBeGreaterThanOrEqual(keep);
      this.#slot(slot).length = keep;
    }
    for (const { slot, forcedStart, forced } of plan.rows) this.#enter(slot, forcedStart, forced);
    for (const { slot, start, tokens } of plan.chunks) this.#enter(slot, start, tokens);
    return plan;
  }

  /** The kernel hears of what has entered; and, with `sampled`, of a next token of each burst. */
  hear({ rows, chunks }: Plan, sampled = true): void {
    for (const { burst: binding, slot } of [...rows, ...chunks]) {
      const cid = this.placer.bound(binding)?.spec.cid ?? 0n;
      this.placer.grew(binding, this.#slot(slot).length);
      if (sampled) this.#journal.append({ type: "ctx.generated", cid, tokens: [7] });
    }
  }

  /** A plan and what it did; with `renewed` the next one is another. */
  step(bursts: readonly Burst[]): Plan {
    const plan = this.place(bursts);
    this.hear(plan);
    this.placer.stepped(plan.id, plan.steps - 1, true);
    return plan;
  }

  /** The burst is over. Its KV stays in its slot, unless its context is closed too. */
  end(burst: Burst, how: "idle" | "closed"): void {
    this.placer.release(burst);
    if (how === "idle") return;
    this.placer.dropContext(burst.spec.cid, 1);
    this.#journal.append({ type: "ctx.closed", cid: burst.spec.cid });
  }

  #slot(index: number): number[] {
    const slot = this.slots[index];
    if (!slot) throw new Error(`there is no slot ${index}`);
    return slot;
  }

  #enter(slot: number, start: number, tokens: readonly number[]): void {
    expect(this.#slot(slot)).toHaveLength(start);
    this.#slot(slot).push(...tokens);
  }
}

/** As many bursts as slots, each in the slot of its number, after a first step. */
function full(slotCount: number): { world: World; bursts: Burst[]; first: Plan } {
  const world = new World(slotCount);
  const bursts = Array.from({ length: slotCount }, () => world.arrive());
  const first = world.step(bursts);
  expect(bursts.map((burst) => world.placer.slotOf(burst))).toEqual([...bursts.keys()]);
  return { world, bursts, first };
}

describe("compaction", () => {
  it("moves the highest burst into the hole, with all that it has", () => {
    const { world, bursts, first } = full(3);
    const [a, b, c] = bursts as [Burst, Burst, Burst];
    const before = first.chunks.find(({ slot }) => slot === 2)?.burst ?? 0n;
    expect(world.placer.bound(before)).toBe(c);
    world.end(a, "closed");
    const plan = world.place([b, c]);
    expect(plan.copies).toEqual([{ fromSlot: 2, toSlot: 0, tokens: GIVEN }]);
    expect(plan.binds).toMatchObject([{ slot: 0, keep: GIVEN, loads: [] }]);
    expect([b, c].map((burst) => world.placer.slotOf(burst))).toEqual([1, 0]);
    // Their token that was sampled has entered behind what was there.
    expect(world.slots[0]).toEqual(world.tokens(c.spec.cid));
    expect(world.slots[1]).toEqual(world.tokens(b.spec.cid));
    expect(world.slots[0]).toHaveLength(GIVEN + 1);
    expect(world.placer.recomputed).toBe(0);
    // What the burst still did in its former slot is nobody's.
    expect(world.placer.bound(before)).toBeUndefined();
    expect(world.placer.grew(before, GIVEN + 5)).toBe(0);
    expect(world.placer.table.slots.map(({ cid }) => cid)).toEqual([
      ...[c.spec.cid, b.spec.cid, undefined],
    ]);
  });

  it("closes one hole a plan, until those who run have the lowest slots", () => {
    const { world, bursts } = full(4);
    const [a, b, c, d] = bursts as [Burst, Burst, Burst, Burst];
    for (const over of [a, b]) world.end(over, "closed");
    const moves = Array.from({ length: 3 }, () =>
      world.step([c, d]).copies.map(({ fromSlot, toSlot }) => [fromSlot, toSlot]),
    );
    expect(moves).toEqual([[[3, 0]], [[2, 1]], []]);
    for (const burst of [c, d]) {
      const there = world.slots[world.placer.slotOf(burst)] ?? [];
      expect(there).toEqual(world.tokens(burst.spec.cid).slice(0, -1));
      expect(burst.recomputed).toBe(0);
    }
  });

  it("counts what must enter again after a move", () => {
    const world = new World(2);
    const [a, b] = [world.arrive(), world.arrive()];
    // All of the prompt is there, and no token was sampled yet: its last two are given back.
    world.hear(world.place([a, b]), false);
    world.end(a, "closed");
    const plan = world.place([b]);
    expect(plan.copies).toEqual([{ fromSlot: 1, toSlot: 0, tokens: GIVEN }]);
    expect(plan.binds).toMatchObject([{ slot: 0, keep: GIVEN - 2 }]);
    expect([b.recomputed, world.placer.recomputed]).toEqual([2, 2]);
    expect(world.slots[0]).toEqual(world.tokens(b.spec.cid));
  });

  it("leaves who enters with this plan where it is until the next", () => {
    const { world, bursts } = full(3);
    const [a, b, c] = bursts as [Burst, Burst, Burst];
    for (const over of [a, b]) world.end(over, "closed");
    world.end(c, "idle");
    const again = world.burstOn(c.spec.cid);
    const moves = Array.from({ length: 2 }, () => world.step([again]).copies.length);
    expect(moves).toEqual([0, 1]);
    expect(world.placer.slotOf(again)).toBe(0);
    expect(world.slots[0]).toEqual(world.tokens(c.spec.cid).slice(0, -1));
  });

  it("moves nobody up, and nobody into a slot that still has somebody's KV", () => {
    const { world, bursts } = full(3);
    const [a, b, c] = bursts as [Burst, Burst, Burst];
    world.end(a, "idle");
    world.end(c, "closed");
    expect(world.place([b]).copies).toEqual([]);
    expect(world.placer.table.of(a.spec.cid)?.index).toBe(0);
  });
});

/**
 * What is left to do of the plan that is being run.
 *
 * A plan names positions, so what is left is found by comparing it with the slots:
 * whatever of it is in its slot already is skipped, whatever contradicts its slot is
 * an error, and bursts that have ended since the plan was made are passed over.
 */

import { ContixError } from "../../../proto/errno.js";
import type { Plan, PrefillChunk, Row } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { RunningBurst } from "./running-burst.js";
import type { Slot } from "./slot.js";

/** One token that enters by decode. */
export interface Entry {
  readonly slot: Slot;
  readonly burst: RunningBurst;
  readonly token: number;
  /** It was sampled by this burst before, and the burst's state has not seen it. */
  readonly replayed: boolean;
  readonly sample: boolean;
}

/** The part of a chunk that is not in its slot yet. */
export interface Remainder {
  readonly slot: Slot;
  readonly burst: RunningBurst;
  readonly start: number;
  readonly tokens: readonly number[];
  readonly sample: boolean;
}

export class Agenda {
  readonly plan: Plan;
  readonly #slots: readonly Slot[];
  readonly #oneWay: boolean;
  /** By slot: the plan's rows, and those that its sampled chunks have become. */
  readonly #rows = new Map<number, Row>();
  #step = 0;

  /**
   * @param plan checked by checkPlan; its copies and binds are done
   * @param oneWay of the model: chunks may hold what was generated
   */
  constructor(plan: Plan, slots: readonly Slot[], oneWay = false) {
    this.plan = plan;
    this.#slots = slots;
    this.#oneWay = oneWay;
    for (const row of plan.rows) this.#rows.set(row.slot, row);
    for (const chunk of plan.chunks) {
      const burst = this.#slot(chunk.slot).serving(chunk.burst);
      if (chunk.sample && burst !== undefined && this.#isIn(chunk)) {
        this.decodeAfter(chunk.burst, chunk.slot);
      }
    }
  }

  /** The step to run now, 0-based. */
  get step(): number {
    return this.#step;
  }

  /** What this step's rows enter. */
  entries(): Entry[] {
    if (this.#step >= this.plan.steps) return [];
    return [...this.#rows.values()].flatMap((row) => this.#entry(row) ?? []);
  }

  /** What this step's chunk enters, once the step's rows are in. */
  chunk(): Remainder | undefined {
    const chunk = this.plan.chunks[this.#step];
    if (chunk === undefined || this.#step >= this.plan.steps) return undefined;
    return this.#remainder(chunk);
  }

  /** Whether the plan has a chunk for this step, in its slot already or not. */
  get chunkDue(): boolean {
    return this.plan.chunks[this.#step] !== undefined;
  }

  /** The burst of a sampled chunk decodes from the next step on. */
  decodeAfter(burst: bigint, slot: number): void {
    this.#rows.set(slot, { burst, slot, forcedStart: 0, forced: [], sample: true });
  }

  /** Ends the step. @returns whether anything is left for another */
  advance(): boolean {
    this.#step += 1;
    return this.#step < this.plan.steps && (this.#chunksLeft().length > 0 || this.#rowsLeft());
  }

  #rowsLeft(): boolean {
    return [...this.#rows.values()].some((row) => this.#entry(row) !== undefined);
  }

  #chunksLeft(): PrefillChunk[] {
    return this.plan.chunks.slice(this.#step, this.plan.steps).filter((chunk) => {
      const burst = this.#slot(chunk.slot).serving(chunk.burst);
      return burst !== undefined && !this.#isIn(chunk);
    });
  }

  #isIn({ slot, start, tokens }: PrefillChunk): boolean {
    return this.#slot(slot).length >= start + tokens.length;
  }

  /** What `row` enters next; undefined when there is nothing, or nothing yet. */
  #entry(row: Row): Entry | undefined {
    const slot = this.#slot(row.slot);
    const burst = slot.serving(row.burst);
    if (burst === undefined) return undefined;
    const next = slot.length - row.forcedStart;
    if (row.forced.length > 0 && (next >= 0 || !this.#awaitsChunk(slot))) {
      slot.already(row.forcedStart, row.forced);
    }
    const forced = row.forced[next];
    if (forced !== undefined) return this.#forcedEntry(row, slot, burst, forced);
    if (!row.sample || this.#awaitsChunk(slot)) return undefined;
    if (burst.pending !== undefined) {
      return { slot, burst, token: burst.pending, replayed: false, sample: true };
    }
    throw new ContixError(
      "EPROTO",
      `burst ${burst.id} is to go on after ${slot.length} tokens of slot ${slot.index}, where it has sampled nothing`,
    );
  }

  #forcedEntry(row: Row, slot: Slot, burst: RunningBurst, token: number): Entry {
    if (burst.pending !== undefined && burst.pending !== token) {
      throw new ContixError(
        "EPROTO",
        `the plan forces token ${token} at position ${slot.length} of slot ${slot.index}, for which burst ${burst.id} sampled ${burst.pending}`,
      );
    }
    const replayed = burst.pending === undefined && slot.length >= burst.genStart;
    const lastForced = slot.length === row.forcedStart + row.forced.length - 1;
    return { slot, burst, token, replayed, sample: row.sample && lastForced };
  }

  #remainder(chunk: PrefillChunk): Remainder | undefined {
    const slot = this.#slot(chunk.slot);
    const burst = slot.serving(chunk.burst);
    if (burst === undefined) return undefined;
    const done = slot.already(chunk.start, chunk.tokens);
    const tokens = chunk.tokens.slice(done);
    if (tokens.length === 0) return undefined;
    const end = slot.length + tokens.length;
    if (tokens.length === 1) {
      throw new ContixError(
        "EPROTO",
        `of a chunk that ends at position ${end} of slot ${slot.index} one token is left; one cannot enter by prefill`,
      );
    }
    if (end > burst.genStart && !(this.#oneWay && burst.pending === undefined)) {
      throw new ContixError(
        "EPROTO",
        `a chunk of given tokens ends at position ${end} of slot ${slot.index}, beyond gen_start ${burst.genStart} of burst ${burst.id}`,
      );
    }
    return { slot, burst, start: slot.length, tokens, sample: chunk.sample };
  }

  #awaitsChunk(slot: Slot): boolean {
    return this.#chunksLeft().some((chunk) => chunk.slot === slot.index);
  }

  #slot(index: number): Slot {
    const slot = this.#slots[index];
    if (slot === undefined) throw new RangeError(`no slot ${index}`);
    return slot;
  }
}

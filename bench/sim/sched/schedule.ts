/**
 * What is left of the plan that the virtual engine runs: as the executor's agenda, but
 * that a slot's content is its length.
 */
import type {
  Plan,
  PrefillChunk,
  Row,
  RowOutcome,
} from "../../../proto/gen/contix/driver/v1/llm.js";
import type { StepWork } from "./cost.js";

export interface VirtualBurst {
  /** The binding's name. */
  readonly id: bigint;
  readonly genStart: number;
  /** The position at which it ends. */
  readonly end: number;
  /** It has sampled the token that enters next. */
  pending: boolean;
}

export interface VirtualSlot {
  readonly index: number;
  /** Tokens in it. */
  length: number;
  burst: VirtualBurst | undefined;
}

/** What a row enters, and whether it samples then. */
interface Entry {
  readonly slot: VirtualSlot;
  readonly burst: VirtualBurst;
  readonly sample: boolean;
}

export class Schedule {
  readonly plan: Plan;
  step = 0;
  readonly #slots: readonly VirtualSlot[];
  readonly #rows = new Map<number, Row>();
  #entries: readonly Entry[] | undefined;

  /** The plan's copies and binds are done. */
  constructor(plan: Plan, slots: readonly VirtualSlot[]) {
    this.plan = plan;
    this.#slots = slots;
    for (const row of plan.rows) this.#rows.set(row.slot, row);
    for (const chunk of plan.chunks) {
      if (chunk.sample && this.#serving(chunk) && this.#isIn(chunk)) this.#decodeAfter(chunk);
    }
  }

  /** Whether all that is left is rows that go on as they did. */
  get steady(): boolean {
    return this.step >= this.plan.chunks.length;
  }

  /** What the step that comes holds. */
  work(): StepWork {
    const entries = this.#due();
    const chunk = this.#chunk();
    let [width, context] = [0, 0];
    for (const { slot } of entries) {
      width = Math.max(width, slot.index + 1);
      context += slot.length;
    }
    const rest = chunk ? chunk.start + chunk.tokens.length - this.#slotOf(chunk).length : 0;
    return { width, context, chunk: rest, start: chunk ? this.#slotOf(chunk).length : 0 };
  }

  /** Does the step. @returns what it says of each row and of the chunk */
  enter(token: (binding: bigint, index: number) => number): RowOutcome[] {
    const rows: RowOutcome[] = [];
    for (const { slot, burst, sample } of this.#due()) {
      burst.pending = false;
      slot.length++;
      rows.push(outcome(slot, burst, sample, token));
    }
    const chunk = this.#chunk();
    const slot = chunk && this.#slotOf(chunk);
    if (chunk && slot?.burst) {
      slot.length = chunk.start + chunk.tokens.length;
      rows.push(outcome(slot, slot.burst, chunk.sample, token));
      if (chunk.sample) this.#decodeAfter(chunk);
    }
    return rows;
  }

  /** Ends the step. @returns whether anything is left */
  advance(): boolean {
    this.step++;
    this.#entries = undefined;
    return this.#anyLeft();
  }

  #anyLeft(): boolean {
    if (this.step >= this.plan.steps) return false;
    if (this.#chunksLeft().length > 0) return true;
    return this.#due().length > 0;
  }

  #due(): readonly Entry[] {
    if (this.step >= this.plan.steps) return [];
    this.#entries ??= [...this.#rows.values()].flatMap((row) => this.#entry(row) ?? []);
    return this.#entries;
  }

  #entry({ burst: id, slot: index, forcedStart, forced, sample }: Row): Entry | undefined {
    const slot = this.#slots[index];
    const burst = slot?.burst;
    if (!slot || burst?.id !== id) return undefined;
    const next = slot.length - forcedStart;
    if (next >= 0 && next < forced.length) {
      return { slot, burst, sample: sample && next === forced.length - 1 };
    }
    if (!sample || this.#chunksLeft().some((chunk) => chunk.slot === index)) return undefined;
    if (burst.pending) return { slot, burst, sample: true };
    throw new Error(`slot ${index} is to go on at ${slot.length}, where nothing was sampled`);
  }

  #chunk(): PrefillChunk | undefined {
    const chunk = this.step < this.plan.steps ? this.plan.chunks[this.step] : undefined;
    if (!chunk || !this.#serving(chunk) || this.#isIn(chunk)) return undefined;
    const { length } = this.#slotOf(chunk);
    if (length < chunk.start) {
      throw new Error(`a chunk from ${chunk.start} on in slot ${chunk.slot}, which has ${length}`);
    }
    return chunk;
  }

  #chunksLeft(): PrefillChunk[] {
    if (this.steady) return NONE;
    const left = this.plan.chunks.slice(this.step, this.plan.steps);
    return left.filter((chunk) => this.#serving(chunk) && !this.#isIn(chunk));
  }

  #decodeAfter({ burst, slot }: PrefillChunk): void {
    this.#rows.set(slot, { burst, slot, forcedStart: 0, forced: [], sample: true });
    this.#entries = undefined;
  }

  #serving({ slot, burst }: PrefillChunk): boolean {
    return this.#slots[slot]?.burst?.id === burst;
  }

  #isIn(chunk: PrefillChunk): boolean {
    return this.#slotOf(chunk).length >= chunk.start + chunk.tokens.length;
  }

  #slotOf({ slot: index }: PrefillChunk): VirtualSlot {
    const slot = this.#slots[index];
    if (!slot) throw new RangeError(`no slot ${index}`);
    return slot;
  }
}

const NONE: PrefillChunk[] = [];

/** Samples, if it is to; a burst that has all its tokens ends. */
function outcome(
  slot: VirtualSlot,
  burst: VirtualBurst,
  sample: boolean,
  token: (binding: bigint, index: number) => number,
): RowOutcome {
  const sampled: number[] = [];
  let finish = "";
  if (sample) {
    sampled.push(token(burst.id, slot.length - burst.genStart));
    burst.pending = slot.length + 1 < burst.end;
    if (!burst.pending) {
      slot.burst = undefined;
      finish = "length";
    }
  }
  const { index, length } = slot;
  return { burst: burst.id, slot: index, length, sampled, text: "", finish, stop: "" };
}

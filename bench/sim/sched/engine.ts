/**
 * The engine on a virtual clock: runs the kernel's plans as the driver's executor does,
 * and computes nothing but what that takes (cost.ts).
 *
 * The order of things is the real one. A plan is adopted at a step's boundary: its saves,
 * copies, binds and loads are done then, its reads and writes of the swap file go on
 * beside the steps. The next step begins at once with what the newest plan says, so a plan
 * that answers an outcome takes over one step later, as it does where the kernel is
 * another process. What a plan says of a slot is held against the slot: a contradiction
 * is an error, as it is in the executor.
 *
 * Steps in which nothing can change are done in one go, each with its outcome.
 */
import type { PlanRunner, RunResult } from "../../../kernel/sched/loop.js";
import type {
  Bind,
  Copy,
  Outcome,
  PageDone,
  PageRead,
  PageSave,
  PageWrite,
  Plan,
  RowOutcome,
} from "../../../proto/gen/contix/driver/v1/llm.js";
import type { VirtualClock } from "./clock.js";
import { type EngineCost, stepUs } from "./cost.js";
import { Schedule, type VirtualSlot } from "./schedule.js";

const PAGE_TOKENS = 16;

export interface EngineOptions {
  readonly slots: number;
  readonly cost: EngineCost;
  readonly clock: VirtualClock;
  /** What the burst of a binding says at its `index`th place. */
  readonly token: (binding: bigint, index: number) => number;
  /** Steps that may be done in one go before the scheduler wants to decide anew. */
  readonly ahead: () => number;
  /** Nothing will ever happen any more. */
  readonly onIdle: () => void;
}

/** A step that was begun. */
interface Step {
  readonly end: number;
  readonly us: number;
}

export class VirtualEngine implements PlanRunner {
  readonly failure = undefined;
  /** Steps, what they took, and microseconds in which there was none. */
  readonly counters = { steps: 0, stepUs: 0, idleUs: 0 };
  readonly #options: EngineOptions;
  #slots: VirtualSlot[];
  #arrived: Plan[] = [];
  #lastPlan = 0n;
  #schedule: Schedule | undefined;
  #step: Step | undefined;
  #pages: PageDone[] = [];
  #woken = false;
  #lost = false;
  /** Drivers that there were: what a dead one was to read or write does not happen. */
  #life = 0;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#slots = emptySlots(options.slots);
  }

  up(): Promise<void> {
    return Promise.resolve();
  }

  wake(): void {
    this.#woken = true;
  }

  /** Loses every slot and frame, as a killed driver does. What was written to swap stays. */
  crash(): void {
    this.#slots = emptySlots(this.#options.slots);
    this.#arrived = [];
    this.#pages = [];
    this.#schedule = undefined;
    this.#step = undefined;
    this.#lost = true;
    this.#life++;
  }

  async run(plan: Plan): Promise<RunResult> {
    this.#woken = false;
    if (!this.#lost && plan.id > this.#lastPlan) {
      this.#lastPlan = plan.id;
      this.#arrived.push(plan);
    }
    const { clock } = this.#options;
    while (true) {
      const result = this.#result();
      if (result) return result;
      if (!this.#step) this.#begin();
      const end = (this.#step as Step | undefined)?.end ?? Number.POSITIVE_INFINITY;
      const before = clock.now();
      if (clock.happen(end)) {
        if (end === Number.POSITIVE_INFINITY) this.counters.idleUs += clock.now() - before;
        await settled();
      } else if (this.#step) {
        return { kind: "outcomes", outcomes: this.#finish(), pages: this.#reported() };
      } else {
        this.#options.onIdle();
        return { kind: "woken" };
      }
    }
  }

  #result(): RunResult | undefined {
    if (this.#lost) {
      this.#lost = false;
      return { kind: "lost" };
    }
    if (this.#pages.length > 0) return { kind: "outcomes", outcomes: [], pages: this.#reported() };
    if (!this.#woken) return undefined;
    this.#woken = false;
    return { kind: "woken" };
  }

  #reported(): PageDone[] {
    return this.#pages.splice(0);
  }

  /** The boundary, and the next step, if there is anything to do. */
  #begin(): void {
    const { cost, clock } = this.#options;
    const movingUs = this.#adopt();
    if (!this.#schedule) return;
    // A plan of which nothing is left is a step too, of no time: its outcome says so.
    const us = stepUs(cost, this.#schedule.work());
    this.#step = { us, end: clock.now() + movingUs + us + (us > 0 ? cost.gapUs : 0) };
  }

  /** Ends the step, and does those after it in which nothing changes. The next is begun then. */
  #finish(): Outcome[] {
    const outcomes: Outcome[] = [];
    const { clock, ahead } = this.#options;
    let most = Math.max(1, ahead());
    while (this.#step && this.#schedule) {
      const { end, us } = this.#step;
      clock.pass(end);
      const { plan, step } = this.#schedule;
      const rows = this.#schedule.enter(this.#options.token);
      const more = this.#schedule.advance();
      const last = !more && this.#arrived.length === 0;
      if (!more) this.#schedule = undefined;
      this.counters.steps++;
      this.counters.stepUs += us;
      outcomes.push({ plan: plan.id, step, steps: 1, stepUs: Math.round(us), last, rows });
      this.#step = undefined;
      const quiet = more && this.#arrived.length === 0 && rows.every(isOrdinary);
      this.#begin();
      const next = (this.#step as Step | undefined)?.end ?? 0;
      most--;
      if (!quiet || most === 0 || !this.#schedule?.steady || this.#mayHappen(next)) break;
    }
    return outcomes;
  }

  #mayHappen(until: number): boolean {
    const { next } = this.#options.clock;
    return next !== undefined && next <= until;
  }

  /** Every plan's moves are done, but only the newest goes on. @returns what the moves take, µs */
  #adopt(): number {
    const { cost } = this.#options;
    let pages = 0;
    for (const plan of this.#arrived) {
      pages += plan.saves.length;
      for (const save of plan.saves) this.#checkSave(save);
      for (const write of plan.writes) this.#write(write);
      const bound = new Set(plan.binds.map(({ slot }) => slot));
      for (const copy of plan.copies) pages += this.#copy(copy, !bound.has(copy.toSlot));
      for (const bind of plan.binds) pages += this.#bind(bind);
      this.#read(plan.reads);
    }
    const newest = this.#arrived.at(-1);
    this.#arrived = [];
    if (newest) this.#schedule = new Schedule(newest, this.#slots);
    return pages * cost.pageUs;
  }

  #checkSave({ slot, start, count }: PageSave): void {
    const { length } = this.#slot(slot);
    if (start + count > length) {
      throw new Error(`a save of ${start} + ${count} tokens of slot ${slot}, which has ${length}`);
    }
  }

  #copy({ fromSlot, toSlot, tokens }: Copy, move: boolean): number {
    const [from, to] = [this.#slot(fromSlot), this.#slot(toSlot)];
    if (tokens > from.length) {
      throw new Error(`a copy of ${tokens} tokens of slot ${fromSlot}, which has ${from.length}`);
    }
    to.length = move && from.burst ? from.length : tokens;
    to.burst = move ? from.burst : undefined;
    if (move) from.burst = undefined;
    return Math.ceil(to.length / PAGE_TOKENS);
  }

  #bind({ slot: index, keep, burst, loads }: Bind): number {
    const slot = this.#slot(index);
    if (keep > slot.length) {
      throw new Error(`slot ${index} is to keep ${keep} tokens and has ${slot.length}`);
    }
    slot.burst = undefined;
    slot.length = keep;
    for (const { tokens } of loads) slot.length += tokens.length;
    if (burst) {
      for (const other of this.#slots) if (other.burst?.id === burst.id) other.burst = undefined;
      const { id, genStart, maxTokens } = burst;
      slot.burst = { id, genStart, end: genStart + maxTokens, pending: false };
    }
    return loads.length;
  }

  #write({ block }: PageWrite): void {
    this.#later(this.#options.cost.writeUs, () => ({ block, write: true, slot: 0, start: 0 }));
  }

  #read(reads: readonly PageRead[]): void {
    reads.forEach(({ slot, start, block }, i) => {
      this.#later(this.#options.cost.readUs * (i + 1), () => {
        this.#slot(slot).length = start + PAGE_TOKENS;
        return { block, write: false, slot, start };
      });
    });
  }

  #later(us: number, done: () => Omit<PageDone, "error">): void {
    const life = this.#life;
    this.#options.clock.after(us, () => {
      if (life === this.#life) this.#pages.push({ ...done(), error: "" });
    });
  }

  #slot(index: number): VirtualSlot {
    const slot = this.#slots[index];
    if (!slot) throw new RangeError(`no slot ${index}`);
    return slot;
  }
}

/** Who waits on promises for what has happened goes on before anything else does. */
async function settled(): Promise<void> {
  for (let i = 0; i < HOPS; i++) await undefined;
}

/** Of the longest such chain (supervise/supervisor.ts), and more. */
const HOPS = 8;

/** It made a token and goes on. */
function isOrdinary({ finish, sampled }: RowOutcome): boolean {
  return finish === "" && sampled.length > 0;
}

function emptySlots(count: number): VirtualSlot[] {
  return Array.from({ length: count }, (_, index) => ({ index, length: 0, burst: undefined }));
}

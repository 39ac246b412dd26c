/**
 * The executor: runs the kernel's plans, step after step, on a model.
 *
 * One step enters one token for every row of the plan (one run of the model), then
 * one chunk of a prompt (another run), samples, and reports what became of each burst.
 * A plan goes on for its steps without a word from the kernel; between two steps, at
 * the boundary, the newest plan takes over. So the kernel answers one step behind and
 * never holds the model up, and cancelling takes effect within one step.
 *
 * It decides nothing: which burst is in which slot, what enters and in which order is
 * all in the plans. What it adds is what only it can know in time: the token just
 * sampled, which the next step enters, and whether a burst ended by it. And it checks:
 * each slot has a mirror of the tokens in it, and a plan that contradicts the mirror is
 * a fault, never a wrong answer.
 */

import { setImmediate as nextTurn } from "node:timers/promises";
import { ContixError } from "../../../proto/errno.js";
import type {
  Bind,
  Copy,
  Outcome,
  PageDone,
  Plan,
  RowOutcome,
} from "../../../proto/gen/contix/driver/v1/llm.js";
import type { Detokenizer } from "../text/server.js";
import { Agenda, type Entry, type Remainder } from "./agenda.js";
import { checkPages, type PagePlaces } from "./check-pages.js";
import { checkPlan } from "./check-plan.js";
import { Gathering } from "./gathering.js";
import { LookupRow } from "./lookup-row.js";
import type { DecodeRow, Model } from "./model.js";
import { PageMover } from "./page-mover.js";
import { type Limits, type Progress, RunningBurst } from "./running-burst.js";
import { Slot } from "./slot.js";
import type { Swap } from "./swap.js";

export interface ExecutorPorts {
  readonly model: Model;
  /** A fresh detokenizer, for one burst. */
  detokenizer(): Detokenizer;
  /** Hears of every step, in order: one outcome each, or several as one where the plan lets it. */
  report(outcome: Outcome): void;
  /** Where pages are written to and read from. */
  readonly swap?: Swap | undefined;
  /** Hears of each read and write of the swap file, when it is over. */
  reportPages?(done: PageDone[]): void;
  /** Tokens guessed at most of a row that decodes alone; default 0: none. */
  readonly lookup?: number;
  /** A monotonic clock, microseconds. */
  nowUs(): number;
}

const NO_PROGRESS: Progress = { sampled: [], text: "", finish: "", stop: "" };

export class Executor {
  readonly #ports: ExecutorPorts;
  readonly #limits: Limits;
  readonly #slots: readonly Slot[];
  readonly #places: PagePlaces;
  readonly #pages: PageMover;
  readonly #lookup: LookupRow | undefined;
  readonly #outcomes: Gathering;
  /** Plans that wait for the boundary, oldest first. */
  #arrived: Plan[] = [];
  #lastPlan = -1n;
  #stopping = false;
  #wake: () => void = () => {};

  constructor(ports: ExecutorPorts) {
    const { slots, slotTokens, eosIds } = ports.model.info;
    this.#ports = ports;
    this.#limits = { slotTokens, eosIds: new Set(eosIds) };
    this.#outcomes = new Gathering(ports);
    this.#slots = Array.from({ length: slots }, (_, index) => new Slot(index));
    const { pages } = ports.model;
    this.#lookup = LookupRow.of(ports.model, ports.lookup ?? 0);
    this.#places = { frames: pages.frames, blocks: ports.swap?.blocks ?? 0 };
    this.#pages = new PageMover({
      pages,
      slots: this.#slots,
      swap: ports.swap,
      report: (done) => ports.reportPages?.(done),
    });
  }

  /** Takes a plan; it is adopted at the next step boundary. */
  submit(plan: Plan): void {
    this.#arrived.push(plan);
    this.#wake();
  }

  /** Lets `run` return after the step that is under way. */
  stop(): void {
    this.#stopping = true;
    this.#wake();
  }

  /**
   * Runs plans until `stop`. No call on the model and no read into it is under way when
   * it settles.
   * @throws ContixError EPROTO when a plan contradicts itself or the slots; the model's errors
   */
  async run(): Promise<void> {
    try {
      await this.#serve();
    } finally {
      this.#outcomes.flush();
      await this.#pages.close();
    }
  }

  async #serve(): Promise<void> {
    let agenda: Agenda | undefined;
    while (true) {
      // Frames that came in during the step are read before the boundary, not after it.
      await nextTurn();
      if (agenda === undefined) await this.#arrival();
      if (this.#stopping) return;
      agenda = (await this.#adopt()) ?? agenda;
      if (agenda !== undefined) agenda = await this.#step(agenda);
    }
  }

  async #arrival(): Promise<void> {
    while (this.#arrived.length === 0 && !this.#stopping) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /**
   * The boundary. Pages, copies and binds are done once and so of every plan, even of one
   * that was replaced before it was adopted; what goes on is the newest plan's alone.
   */
  async #adopt(): Promise<Agenda | undefined> {
    const plans = this.#arrived;
    if (plans.length > 0) this.#outcomes.flush();
    this.#arrived = [];
    for (const plan of plans) {
      if (plan.id <= this.#lastPlan) {
        throw new ContixError("EPROTO", `plan ${plan.id} after plan ${this.#lastPlan}: ids rise`);
      }
      this.#lastPlan = plan.id;
      checkPlan(plan, this.#ports.model.info);
      checkPages(plan, this.#ports.model.info, this.#places);
      await this.#pages.save(plan.saves);
      this.#pages.write(plan.writes);
      const bound = new Set(plan.binds.map(({ slot }) => slot));
      for (const copy of plan.copies) await this.#copy(copy, !bound.has(copy.toSlot));
      for (const bind of plan.binds) await this.#bind(bind);
      this.#pages.read(plan.reads);
    }
    const newest = plans.at(-1);
    const { oneWay } = this.#ports.model.info;
    return newest === undefined ? undefined : new Agenda(newest, this.#slots, oneWay);
  }

  /**
   * With `move` (nothing else is bound to the slot copied to) the burst goes along, and
   * with it every token that its slot has by now, since the plan may be a step behind.
   */
  async #copy({ fromSlot, toSlot, tokens }: Copy, move: boolean): Promise<void> {
    const from = this.#slot(fromSlot);
    const to = this.#slot(toSlot);
    await this.#pages.settled(from);
    await this.#pages.settled(to);
    if (tokens > from.length) {
      throw new ContixError(
        "EPROTO",
        `the plan copies ${tokens} tokens of slot ${fromSlot}, which has ${from.length}`,
      );
    }
    const length = move && from.burst !== undefined ? from.length : tokens;
    if (length > 0) await this.#ports.model.copy(fromSlot, toSlot, length);
    to.takeContent(from, length);
    if (move) to.takeBurst(from);
  }

  async #bind({ slot: index, keep, burst: spec, loads }: Bind): Promise<void> {
    const slot = this.#slot(index);
    await this.#pages.settled(slot);
    if (keep > slot.length) {
      throw new ContixError(
        "EPROTO",
        `the plan keeps ${keep} tokens of slot ${index}, which has ${slot.length}`,
      );
    }
    slot.unbind();
    slot.cut(keep);
    this.#pages.load(slot, loads);
    if (spec === undefined) return;
    for (const other of this.#slots) if (other.burst?.id === spec.id) other.unbind();
    const burst = new RunningBurst(spec, this.#ports.detokenizer(), this.#limits);
    for (let at = spec.genStart; at < slot.length; at++) burst.replay(slot.tokens[at] ?? 0, at);
    slot.burst = burst;
  }

  /** @returns the agenda, when anything is left of it */
  async #step(agenda: Agenda): Promise<Agenda | undefined> {
    const begun = this.#ports.nowUs();
    const entries = agenda.entries();
    const rows = (await this.#guess(agenda, entries)) ?? (await this.#decode(entries));
    const chunk = agenda.chunk();
    if (chunk !== undefined) {
      rows.push(await this.#prefill(chunk));
      if (chunk.sample) agenda.decodeAfter(chunk.burst.id, chunk.slot.index);
    }
    const { step, plan } = agenda;
    const more = agenda.advance();
    const outcome = {
      plan: plan.id,
      step,
      steps: 1,
      stepUs: Math.round(this.#ports.nowUs() - begun),
      last: !more && this.#arrived.length === 0,
      rows,
    };
    this.#outcomes.add(
      outcome,
      plan,
      chunk !== undefined || rows.some((row) => this.#isFirst(row)),
    );
    return more ? agenda : undefined;
  }

  /** A row that is alone in this step, with guesses of what follows it; undefined: without. */
  async #guess(agenda: Agenda, entries: readonly Entry[]): Promise<RowOutcome[] | undefined> {
    const [entry] = entries;
    if (entry === undefined || entries.length > 1 || agenda.chunkDue) return undefined;
    const progress = await this.#lookup?.enter(entry);
    return progress && [this.#told(entry.slot, entry.burst, progress)];
  }

  async #decode(entries: readonly Entry[]): Promise<RowOutcome[]> {
    if (entries.length === 0) return [];
    const rows = entries.map(
      ({ slot, token, sample }): DecodeRow => ({
        slot: slot.index,
        position: slot.length,
        token,
        wantLogits: sample,
      }),
    );
    const logits = (await this.#ports.model.decode(rows)).values();
    return entries.map((entry) => {
      const { slot, burst, token, replayed, sample } = entry;
      if (replayed) burst.replay(token, slot.length);
      burst.pending = undefined;
      slot.tokens.push(token);
      return this.#outcome(slot, burst, sample ? logits.next().value : undefined);
    });
  }

  async #prefill({ slot, burst, start, tokens, sample }: Remainder): Promise<RowOutcome> {
    const logits = await this.#ports.model.prefill(slot.index, start, tokens, sample);
    tokens.forEach((token, i) => {
      if (start + i >= burst.genStart) burst.replay(token, start + i);
    });
    slot.tokens.push(...tokens);
    return this.#outcome(slot, burst, logits);
  }

  /** Samples when there are logits. */
  #outcome(slot: Slot, burst: RunningBurst, logits: Float32Array | undefined): RowOutcome {
    const progress = logits === undefined ? NO_PROGRESS : burst.sample(logits, slot.tokens);
    return this.#told(slot, burst, progress);
  }

  /** The outcome of a row; a burst that has ended is unbound. */
  #told(slot: Slot, burst: RunningBurst, progress: Progress): RowOutcome {
    if (progress.finish !== "") slot.unbind();
    return { burst: burst.id, slot: slot.index, length: slot.length, ...progress };
  }

  /** Whether a row sampled the first token of its burst. */
  #isFirst({ slot, length, sampled }: RowOutcome): boolean {
    return length + 1 - sampled.length === this.#slot(slot).burst?.genStart;
  }

  #slot(index: number): Slot {
    const slot = this.#slots[index];
    if (slot === undefined) throw new RangeError(`no slot ${index}`);
    return slot;
  }
}

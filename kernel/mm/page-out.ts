/**
 * Pages leave slots for frames: each full one as soon as a plan is made after it became
 * full, so that others find it and a switch has little to do; what is behind them, less
 * than 16 tokens, when the slot is given to another context.
 *
 * What is saved is what the slot had before the plan, since saves come first. A slot that
 * the same plan has loaded or copied something into is not looked at again.
 */
import type { PageSave } from "../../proto/gen/contix/driver/v1/llm.js";
import type { Context } from "../journal/journal.js";
import { enteredRight } from "./feed.js";
import { waysOf } from "./names.js";
import type { Contexts } from "./one-way.js";
import { PAGE_TOKENS, type Page } from "./page.js";
import type { PagePool } from "./pool.js";
import type { Slot, SlotTable } from "./slots.js";

export class PageOut {
  /** Slots with full pages that were not saved yet. */
  readonly #full = new Set<Slot>();
  #many = false;
  /** Of contexts that are gone: their slots keep what they have until the next plan. */
  #left: PageSave[] = [];
  /** Contexts that were forked from one in a slot: its last few tokens are theirs too. */
  readonly #forks: { from: bigint; to: bigint }[] = [];

  constructor(
    private readonly state: Contexts,
    private readonly table: SlotTable,
    private readonly pool: PagePool,
  ) {}

  /** Whether pages wait to be saved. */
  get waiting(): boolean {
    return this.#full.size > 0 || this.#left.length > 0;
  }

  /** Whether several pages of one slot wait: a prefill's, which a driver that dies should not take along. */
  get many(): boolean {
    return this.#many;
  }

  /** A slot has more tokens than before. */
  grew(slot: Slot): void {
    if (!this.pool.on) return;
    const full = Math.floor(slot.resident / PAGE_TOKENS) - slot.kept;
    if (full >= 1) this.#full.add(slot);
    if (full >= 2) this.#many = true;
  }

  /**
   * The context will be gone: a short answer ends before there was a plan to save its prompt's
   * pages, which whoever goes on from it would find. They go with the next one. What was
   * generated nobody else enters in the same way.
   * @returns whether there are any
   */
  leaves(cid: bigint, now: number): boolean {
    const slot = this.table.of(cid);
    const before = this.#left.length;
    if (slot && this.#full.delete(slot)) this.#savePages(slot, now, this.#left, isGiven);
    return this.#left.length > before;
  }

  forked(from: bigint, to: bigint): void {
    if (this.pool.on && this.table.of(from)) this.#forks.push({ from, to });
  }

  /** The page table of a context, as its history is now. */
  pagesOf(cid: bigint): readonly Page[] {
    const context = this.state.contexts.get(cid);
    if (!context || !this.pool.on) return [];
    return this.pool.holdContext(context);
  }

  /** Saves of every full page that is in a slot and was not saved yet, and of forks' tails. */
  saves(now: number): PageSave[] {
    const saves = this.#left;
    this.#left = [];
    for (const slot of this.#full) this.#savePages(slot, now, saves);
    this.#full.clear();
    this.#many = false;
    for (const { from, to } of this.#forks.splice(0)) this.#saveForkTail(from, to, now, saves);
    return saves;
  }

  /** The save of a page that is in some slot and nowhere else. */
  saveFromSlot(page: Page, cid: bigint, now: number): PageSave | undefined {
    const slot = this.table.slots.find((slot) => this.#has(slot, page));
    return slot && this.pool.save(page, cid, slot.index, now);
  }

  /** The save of what is behind the full pages of a slot that is given to another context. */
  saveTail({ cid, resident, index }: Slot, now: number): PageSave | undefined {
    const context = cid === undefined ? undefined : this.state.contexts.get(cid);
    if (!context || cid === undefined || !this.pool.on) return undefined;
    this.pagesOf(cid);
    return this.pool.saveTail(cid, context, enteredRight(context, resident), index, now);
  }

  clear(): void {
    this.#full.clear();
    this.#many = false;
    this.#left = [];
    this.#forks.length = 0;
  }

  /** `wanted`: all before the first page that it is not true of. */
  #savePages(slot: Slot, now: number, saves: PageSave[], wanted = (_: Page) => true): void {
    const { cid, index } = slot;
    const full = Math.floor(this.#right(slot) / PAGE_TOKENS);
    if (cid === undefined || full <= slot.kept) return;
    const pages = this.pagesOf(cid);
    for (; slot.kept < full; slot.kept++) {
      const page = pages[slot.kept];
      if (page && !wanted(page)) return;
      const save = page && this.pool.save(page, cid, index, now);
      if (save) saves.push(save);
    }
  }

  #saveForkTail(from: bigint, to: bigint, now: number, saves: PageSave[]): void {
    const slot = this.table.of(from);
    const source = this.state.contexts.get(from);
    const context = this.state.contexts.get(to);
    if (!slot || !source || !context) return;
    const length = Math.min(this.#right(slot), context.tokens.length);
    const start = length - (length % PAGE_TOKENS);
    if (!same(source, context, start, length)) return;
    this.pagesOf(to);
    const save = this.pool.saveTail(to, context, length, slot.index, now);
    if (save) saves.push(save);
  }

  #has(slot: Slot, page: Page): boolean {
    if (this.#right(slot) < (page.depth + 1) * PAGE_TOKENS) return false;
    return slot.cid !== undefined && this.pool.pagesOf(slot.cid)[page.depth] === page;
  }

  /** Tokens of its context that the slot has as they must be; none while reads are under way. */
  #right({ cid, resident, reads }: Slot): number {
    const context = cid === undefined ? undefined : this.state.contexts.get(cid);
    return context && reads === 0 ? enteredRight(context, resident) : 0;
  }
}

const isGiven = ({ ways }: Page): boolean => ways === 0;

/** Whether two histories have the same tokens, which entered in the same way, in [start, end). */
function same(a: Context, b: Context, start: number, end: number): boolean {
  if (waysOf(a, start, end) !== waysOf(b, start, end)) return false;
  for (let i = start; i < end; i++) if (a.tokens[i] !== b.tokens[i]) return false;
  return true;
}

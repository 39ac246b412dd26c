/**
 * Reads of the swap file into slots. A slot with reads under way is nobody's until each
 * of them was reported, whatever became of the burst that they are for: it may have been
 * cancelled, its context may be gone or cut. What then counts is what came without a gap.
 */
import type { PageDone } from "../../proto/gen/contix/driver/v1/llm.js";
import { PAGE_TOKENS } from "./page.js";
import type { Slot, SlotTable } from "./slots.js";

interface Reading {
  readonly slot: Slot;
  readonly cid: bigint;
  /** Tokens in the slot before the reads. */
  readonly start: number;
  readonly came: Set<number>;
  /** Tokens of the context that are still what was read. */
  limit: number;
}

export class Paging {
  readonly #readings = new Map<number, Reading>();
  readonly #table: SlotTable;

  constructor(table: SlotTable) {
    this.#table = table;
  }

  /** `pages` reads into the slot of `cid`, behind its first `start` tokens, are planned. */
  begin(slot: Slot, cid: bigint, start: number, pages: number): void {
    slot.reads = pages;
    const limit = start + pages * PAGE_TOKENS;
    this.#readings.set(slot.index, { slot, cid, start, came: new Set(), limit });
  }

  /** Whether the context waits for reads. */
  of(slot: Slot): boolean {
    return slot.reads > 0;
  }

  /** The context has only its first `length` tokens left. */
  cut(cid: bigint, length: number): void {
    for (const reading of this.#readings.values()) {
      if (reading.cid === cid) reading.limit = Math.min(reading.limit, length);
    }
  }

  /** A read is over. @returns the slot when it was its last */
  done({ slot: index, start }: PageDone, good: boolean): Slot | undefined {
    const reading = this.#readings.get(index);
    if (!reading) return undefined;
    const { slot, cid, came } = reading;
    if (good) came.add(start);
    slot.reads--;
    if (slot.reads > 0) return undefined;
    this.#readings.delete(index);
    let tokens = reading.start;
    while (came.has(tokens)) tokens += PAGE_TOKENS;
    if (slot.cid === cid) this.#table.setResident(slot, Math.min(tokens, reading.limit));
    return slot;
  }

  /** The driver is gone. */
  clear(): void {
    this.#readings.clear();
  }
}

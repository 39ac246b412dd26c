/**
 * Which context's KV is in which slot, and which burst runs there. The driver
 * holds the bytes; this is the kernel's book of them.
 */
import { PAGE_TOKENS } from "./page.js";

export interface Slot {
  readonly index: number;
  /** The context whose KV it holds; undefined: free. */
  cid: bigint | undefined;
  /** Tokens of that context in the slot, as of the last outcome. */
  resident: number;
  /**
   * Names one binding of a burst to a slot; 0n: no burst runs here. A burst that
   * is bound again gets a new name, so that what its former binding still
   * produced is told apart and dropped: law 2 makes it again.
   */
  binding: bigint;
  lastUsed: number;
  /** Full pages of it, from the first on, that were saved, or for which there was no room. */
  kept: number;
  /** Reads into it that are under way: it is nobody's until they are over. */
  reads: number;
}

export class SlotTable {
  readonly slots: readonly Slot[];
  readonly #byContext = new Map<bigint, Slot>();
  /** The most tokens of a context that ever were in a slot: tells first work from rework. */
  readonly #highWater = new Map<bigint, number>();

  constructor(count: number) {
    this.slots = Array.from({ length: count }, (_, index) => ({
      index,
      cid: undefined,
      resident: 0,
      binding: 0n,
      lastUsed: 0,
      kept: 0,
      reads: 0,
    }));
  }

  of(cid: bigint): Slot | undefined {
    return this.#byContext.get(cid);
  }

  highWater(cid: bigint): number {
    return this.#highWater.get(cid) ?? 0;
  }

  /** Gives the slot to a context, dropping what it held. */
  assign(slot: Slot, cid: bigint): void {
    this.#forgetSlot(slot);
    const former = this.#byContext.get(cid);
    if (former) this.#forgetSlot(former);
    slot.cid = cid;
    this.#byContext.set(cid, slot);
  }

  setResident(slot: Slot, tokens: number): void {
    slot.resident = tokens;
    slot.kept = Math.min(slot.kept, Math.floor(tokens / PAGE_TOKENS));
    if (slot.cid === undefined) return;
    if (tokens > this.highWater(slot.cid)) this.#highWater.set(slot.cid, tokens);
  }

  /** The context was cut: what its slot holds beyond `tokens` counts no more. */
  cut(cid: bigint, tokens: number): void {
    const slot = this.#byContext.get(cid);
    if (slot && slot.resident > tokens) this.setResident(slot, tokens);
    if (this.highWater(cid) > tokens) this.#highWater.set(cid, tokens);
  }

  /** The context is gone: its slot is free. */
  drop(cid: bigint): void {
    const slot = this.#byContext.get(cid);
    if (slot) this.#forgetSlot(slot);
    this.#highWater.delete(cid);
  }

  /** The driver is gone, and every slot's content with it. */
  dropAll(): void {
    for (const slot of this.slots) {
      this.#forgetSlot(slot);
      slot.reads = 0;
    }
  }

  /**
   * A slot for a context that has none: a free one, else the idle one used
   * longest ago. Slots with a burst or a read are never taken; undefined: there is no other.
   */
  available(): Slot | undefined {
    let best: Slot | undefined;
    for (const slot of this.slots) {
      if (slot.binding !== 0n || slot.reads > 0) continue;
      if (slot.cid === undefined) return slot;
      if (best === undefined || slot.lastUsed < best.lastUsed) best = slot;
    }
    return best;
  }

  #forgetSlot(slot: Slot): void {
    if (slot.cid !== undefined) this.#byContext.delete(slot.cid);
    slot.cid = undefined;
    slot.resident = 0;
    slot.binding = 0n;
    slot.kept = 0;
  }
}

/**
 * Moves pages between slots, frames and the swap file, as plans say.
 *
 * Saves and loads are copies in memory, done when they are asked for. Writes and reads of
 * the swap file go on beside the steps. A read goes straight into its slot, so until it is
 * over nobody else may touch that slot: `settled` waits for it.
 *
 * The mirrors follow. Of each frame it is known which tokens it holds and from which
 * position on, and a load that contradicts this is a fault, never a wrong answer. A slot's
 * mirror gets the tokens of a read when the read went well and all before it did: reads of
 * one slot run side by side, but they count in order.
 */

import { ContixError } from "../../../proto/errno.js";
import type {
  PageDone,
  PageLoad,
  PageRead,
  PageSave,
  PageWrite,
} from "../../../proto/gen/contix/driver/v1/llm.js";
import { PAGE_TOKENS, type Pages } from "./pages.js";
import type { Slot } from "./slot.js";
import { BAD_PAGE, type Swap } from "./swap.js";

export interface PageMoverPorts {
  readonly pages: Pages;
  readonly slots: readonly Slot[];
  /** Without it there are no writes and no reads. */
  readonly swap: Swap | undefined;
  /** Hears of each write and each read once. */
  report(done: PageDone[]): void;
}

interface FrameContent {
  readonly start: number;
  readonly tokens: readonly number[];
}

export class PageMover {
  readonly #ports: PageMoverPorts;
  readonly #frames = new Map<number, FrameContent>();
  readonly #underWay = new Set<Promise<void>>();
  #done: PageDone[] = [];

  constructor(ports: PageMoverPorts) {
    this.#ports = ports;
  }

  /** Waits until no read into the slot is under way. */
  async settled(slot: Slot): Promise<void> {
    while (slot.reading !== undefined) await slot.reading;
  }

  /** Waits until nothing is under way. */
  async close(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    this.#flush();
  }

  /** @throws ContixError EPROTO when a slot does not have the positions */
  async save(saves: readonly PageSave[]): Promise<void> {
    for (const { slot: index, start, count, frame } of saves) {
      const slot = this.#slot(index);
      await this.settled(slot);
      if (start + count > slot.length) {
        throw new ContixError(
          "EPROTO",
          `the plan saves positions ${start} to ${start + count - 1} of slot ${index}, which has ${slot.length} tokens`,
        );
      }
      this.#frames.set(frame, { start, tokens: slot.tokens.slice(start, start + count) });
    }
    for (const run of saveRuns(saves)) {
      this.#ports.pages.save(run.slot, run.start, run.count, run.frame);
    }
  }

  /**
   * Loads pages behind the content of a slot that is being bound.
   * @throws ContixError EPROTO when a frame does not hold that
   */
  load(slot: Slot, loads: readonly PageLoad[]): void {
    let start = slot.length;
    for (const { frame, tokens } of loads) {
      this.#checkFrame(frame, slot.length, tokens);
      slot.tokens.push(...tokens);
    }
    for (const { frame, count } of loadRuns(loads)) {
      this.#ports.pages.load(frame, slot.index, start, count);
      start += count;
    }
    slot.cut(start);
  }

  /** Begins to write. The frames' bytes are taken before this returns. */
  write(writes: readonly PageWrite[]): void {
    for (const { frame, block, name } of writes) {
      const { length } = this.#frames.get(frame)?.tokens ?? [];
      if (length !== PAGE_TOKENS) {
        throw new ContixError(
          "EPROTO",
          `the plan writes frame ${frame}, which has ${length} tokens, not a page of ${PAGE_TOKENS}`,
        );
      }
      const written = this.#swap.write(block, name, this.#ports.pages.frame(frame));
      this.#watch(
        written.then((error) => this.#report({ block, write: true, slot: 0, start: 0, error })),
      );
    }
  }

  /**
   * Begins to read.
   * @throws ContixError EPROTO when a slot is not where the plan sees it
   */
  read(reads: readonly PageRead[]): void {
    for (const read of reads) {
      const slot = this.#slot(read.slot);
      if (slot.burst !== undefined) {
        throw new ContixError(
          "EPROTO",
          `the plan reads a page into slot ${slot.index}, which serves burst ${slot.burst.id}`,
        );
      }
      if (!slot.promise(read.start)) {
        throw new ContixError(
          "EPROTO",
          `the plan reads a page to position ${read.start} of slot ${slot.index}, which has ${slot.length} tokens`,
        );
      }
      // First this: it keeps the model from writing there by itself.
      const place = this.#ports.pages.inSlot(slot.index, read.start);
      const bytes = this.#swap.read(read.block, read.name, place);
      const over = this.#arrive(slot, slot.reading, bytes, read);
      slot.reading = over;
      this.#watch(
        over.then(() => {
          if (slot.reading === over) slot.reading = undefined;
        }),
      );
    }
  }

  /** The read counts when those before it are over. */
  async #arrive(
    slot: Slot,
    before: Promise<void> | undefined,
    bytes: Promise<string>,
    { block, start, tokens }: PageRead,
  ): Promise<void> {
    await before;
    let error = await bytes;
    // One before it went wrong: this page is right, but what it stands on is missing.
    if (error === "" && slot.length !== start) error = BAD_PAGE;
    if (error === "") slot.tokens.push(...tokens);
    this.#report({ block, write: false, slot: slot.index, start, error });
  }

  #checkFrame(frame: number, start: number, tokens: readonly number[]): void {
    const held = this.#frames.get(frame);
    if (held?.start === start && tokens.every((token, i) => token === held.tokens[i])) return;
    const holds = held ? `${held.tokens.length} from position ${held.start} on` : "nothing";
    throw new ContixError(
      "EPROTO",
      `the plan loads ${tokens.length} tokens from frame ${frame} to position ${start}; it holds ${holds}, or other tokens`,
    );
  }

  #watch(work: Promise<void>): void {
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
  }

  /** What is over at the same time is one message. */
  #report(done: PageDone): void {
    this.#done.push(done);
    if (this.#done.length === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const done = this.#done;
    this.#done = [];
    if (done.length > 0) this.#ports.report(done);
  }

  get #swap(): Swap {
    const { swap } = this.#ports;
    if (swap === undefined) throw new RangeError("no swap file");
    return swap;
  }

  #slot(index: number): Slot {
    const slot = this.#ports.slots[index];
    if (slot === undefined) throw new RangeError(`no slot ${index}`);
    return slot;
  }
}

/** Saves as few: a page behind another, in the slot and in the frames, goes with it. */
function saveRuns(saves: readonly PageSave[]): PageSave[] {
  const runs: PageSave[] = [];
  for (const save of saves) {
    const last = runs.at(-1);
    const follows =
      last !== undefined &&
      last.slot === save.slot &&
      last.count % PAGE_TOKENS === 0 &&
      last.start + last.count === save.start &&
      last.frame + last.count / PAGE_TOKENS === save.frame;
    if (follows) runs[runs.length - 1] = { ...last, count: last.count + save.count };
    else runs.push(save);
  }
  return runs;
}

/** Loads as few: a page in the next frame goes with the one before it. */
function loadRuns(loads: readonly PageLoad[]): { frame: number; count: number }[] {
  const runs: { frame: number; count: number }[] = [];
  for (const { frame, tokens } of loads) {
    const last = runs.at(-1);
    // All but the last are full.
    if (last !== undefined && last.frame + last.count / PAGE_TOKENS === frame) {
      last.count += tokens.length;
    } else {
      runs.push({ frame, count: tokens.length });
    }
  }
  return runs;
}

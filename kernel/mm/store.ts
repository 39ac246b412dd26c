/**
 * Where pages are: the two tiers, and the rule between them (pool.ts). Places are taken
 * away from leaves first; what is lost unasked takes along what was behind it.
 */
import type { EvictionPolicy, EvictionPorts } from "./eviction/policy.js";
import type { Page, Payer } from "./page.js";
import type { PoolPage } from "./pool-page.js";
import { type Portions, Tier } from "./tier.js";

/** What moves at a block: writes and reads under way, and whether its page gave it up. */
export interface Busy {
  readonly page: PoolPage;
  ops: number;
  released: boolean;
}

/** What the policies are told of costs, microseconds. */
export interface PageCosts {
  /** To compute it again. */
  rebuildUs(page: Page): number;
  /** To read it from the swap file. */
  readUs(page: Page): number;
}

export interface StoreOptions {
  readonly pageBytes: number;
  readonly eviction: (ports: EvictionPorts) => EvictionPolicy;
  readonly costs: PageCosts;
  /** Of RAM and of the swap file; by default all. */
  readonly portions?: { readonly frames: Portions; readonly blocks: Portions };
  /** Makes room within the quotas of whom a page is for (page-quotas.ts); by default there are none. */
  readonly mayEnter?: (tier: "frames" | "blocks", payer: Payer, now: number) => boolean;
  /** Hears of a page that has no place any more. */
  readonly onUnplaced: (page: PoolPage) => void;
}

const ALL: Portions = { principal: 1, process: 1 };
const WHOLE = { frames: ALL, blocks: ALL };

export class Store {
  frames: Tier;
  blocks: Tier;
  readonly busy = new Map<number, Busy>();
  /** In a frame, to be written to a block, oldest first; for which context each was saved. */
  readonly unwritten = new Map<PoolPage, bigint>();
  readonly #options: StoreOptions;

  constructor(frames: number, blocks: number, options: StoreOptions) {
    this.#options = options;
    [this.frames, this.blocks] = this.#tiers(frames, blocks);
  }

  /** A frame for a page, in which it is from now on; -1: none can be had. */
  enterFrame(page: PoolPage, cid: bigint, now: number): number {
    shelter(page.parent, 1);
    const frame = this.frames.take(page, (page.parent?.frame ?? -2) + 1, now);
    shelter(page.parent, -1);
    if (frame < 0) return frame;
    page.frame = frame;
    if (page.parent) {
      page.parent.frameKids++;
      page.parent.adopt(page);
    }
    this.frames.entered(page, frame, cid, now);
    return frame;
  }

  /** A block for a page, to which it is being written from now on; -1: none can be had. */
  enterBlock(page: PoolPage, cid: bigint, now: number): number {
    shelter(page, 1);
    const block = this.blocks.take(page, (page.parent?.block ?? -2) + 1, now);
    shelter(page, -1);
    if (block < 0) return block;
    page.block = block;
    page.writing = true;
    if (page.parent) page.parent.blockKids++;
    this.begin(page);
    this.blocks.entered(page, block, cid, now);
    return block;
  }

  /** A read or write of the page's block begins. */
  begin(page: PoolPage): void {
    const busy = this.busy.get(page.block);
    if (busy) busy.ops++;
    else this.busy.set(page.block, { page, ops: 1, released: false });
  }

  /** A read or write of a block is over. */
  end(block: number, busy: Busy): void {
    busy.ops--;
    if (busy.ops > 0) return;
    this.busy.delete(block);
    if (busy.released) this.blocks.release(block);
  }

  leaveFrame(page: PoolPage): void {
    this.frames.left(page, page.frame);
    this.frames.release(page.frame);
    this.unwritten.delete(page);
    page.frame = -1;
    if (page.parent) page.parent.frameKids--;
    this.#unplaced(page);
  }

  /** Its block is given up; the place is free once nothing moves there any more. */
  leaveBlock(page: PoolPage): void {
    this.blocks.left(page, page.block);
    const busy = this.busy.get(page.block);
    if (busy) busy.released = true;
    else this.blocks.release(page.block);
    page.block = -1;
    page.writing = false;
    if (page.parent) page.parent.blockKids--;
    this.#unplaced(page);
  }

  /** A block turned out bad: it is given up, and what is behind it and needs it. */
  loseBlock(page: PoolPage): void {
    for (const kid of page.kids) {
      if (kid.block >= 0) this.loseBlock(kid);
      if (page.frame < 0 && kid.frame >= 0) this.drop(kid);
    }
    this.leaveBlock(page);
  }

  /** Takes a page, and what is behind it, out of every place. */
  drop(page: PoolPage): void {
    for (const kid of page.kids) this.drop(kid);
    if (page.block >= 0) this.leaveBlock(page);
    if (page.frame >= 0) this.leaveFrame(page);
  }

  /** The driver is gone: every frame, and every block that was not written yet. */
  lost(): void {
    this.unwritten.clear();
    for (const [block, { released }] of this.busy) if (released) this.blocks.release(block);
    this.busy.clear();
    for (const page of this.blocks.pages) {
      if (page.block >= 0 && page.writing) this.loseBlock(page);
    }
    for (const page of this.frames.pages) this.leaveFrame(page);
  }

  /** Nothing is in any place, and there are other places. */
  refit(frames: number, blocks: number): void {
    for (const page of this.blocks.pages) if (page.block >= 0) this.drop(page);
    const before = { frames: this.frames.evicted, blocks: this.blocks.evicted };
    [this.frames, this.blocks] = this.#tiers(frames, blocks);
    // A counter counts from the start, whatever the driver has room for now.
    this.frames.evicted = before.frames;
    this.blocks.evicted = before.blocks;
  }

  #tiers(frames: number, blocks: number): [Tier, Tier] {
    const { eviction, costs, pageBytes, portions = WHOLE, mayEnter = () => true } = this.#options;
    const ports = { rebuildUs: costs.rebuildUs, bytes: () => pageBytes };
    const never = (): number => Number.POSITIVE_INFINITY;
    const fetchUs = (page: Page): number => (page.block >= 0 ? costs.readUs(page) : never());
    const frame = (page: Page): boolean => !mayLeaveFrame(page as PoolPage);
    const block = (page: Page): boolean => !this.#mayLeaveBlock(page as PoolPage);
    return [
      new Tier({
        ...{ count: frames, eviction, portions: portions.frames },
        ports: { ...ports, fetchUs, pinned: frame, node: "frameNode" },
        mayEnter: (payer, now) => mayEnter("frames", payer, now),
        evict: (page) => this.leaveFrame(page),
      }),
      new Tier({
        ...{ count: blocks, eviction, portions: portions.blocks },
        ports: { ...ports, fetchUs: never, pinned: block, node: "blockNode" },
        mayEnter: (payer, now) => mayEnter("blocks", payer, now),
        evict: (page) => this.leaveBlock(page),
      }),
    ];
  }

  #mayLeaveBlock(page: PoolPage): boolean {
    if (page.pins > 0 || this.busy.has(page.block) || page.blockKids > 0) return false;
    return page.frame >= 0 || page.children === 0;
  }

  #unplaced(page: PoolPage): void {
    if (page.placed) return;
    page.parent?.disown(page);
    this.#options.onUnplaced(page);
  }
}

/** A page whose block is being written keeps its frame: it could be read from nowhere. */
function mayLeaveFrame(page: PoolPage): boolean {
  if (page.pins > 0 || page.keepers > 0 || page.writing || page.frameKids > 0) return false;
  return page.block >= 0 || page.children === 0;
}

/** While a place is looked for, nothing may make a page its victim, nor the page before it. */
function shelter(page: PoolPage | undefined, pins: 1 | -1): void {
  if (!page) return;
  page.pins += pins;
  if (page.parent) page.parent.pins += pins;
}

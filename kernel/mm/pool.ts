/**
 * The page pool: which page is where. Pure bookkeeping: it moves nothing, it says what
 * the driver is to move, and hears what became of it.
 *
 * A page may have a frame (a place in the driver's RAM), a block (a place in the swap
 * file), both, or none; of what has none only the tokens are known. The rule that keeps
 * the pool of use: **a page that has a place has its parent in a place too, and one that
 * has a block has its parent in a block**. For a page is of use only with all before it,
 * and blocks must suffice by themselves when the driver dies. So places are taken away
 * from leaves first, and what is lost unasked (a bad block, a dead driver) takes along
 * what was behind it.
 *
 * The order of a plan decides what is safe (llm.proto): saves, writes, copies, binds with
 * their loads, reads. A frame that a plan saves to or loads from keeps its page until the
 * plan is made, hence the pins until `seal`; the next plan may use it again at once. A
 * block is given away only when nothing reads or writes it any more, even long after its
 * page gave it up.
 *
 * Every operation is O(1); a walk of a history costs one hash for each page that is new
 * to its context.
 */
import type {
  PageDone,
  PageRead,
  PageSave,
  PageWrite,
} from "../../proto/gen/contix/driver/v1/llm.js";
import type { Context } from "../journal/journal.js";
import { evictionPolicy } from "./eviction/policies.js";
import type { EvictionPorts, Wait, Whose } from "./eviction/policy.js";
import { nameBytes, type PagedHistory, pageName, saltOf } from "./names.js";
import { isKept, PAGE_TOKENS, type Page, type Payer } from "./page.js";
import { checkPool } from "./pool-check.js";
import { emptyCounters, type PoolCounters } from "./pool-counters.js";
import type { PoolPage } from "./pool-page.js";
import { type Residency, residencyOf } from "./residency.js";
import { Store, type StoreOptions } from "./store.js";
import { type NameOf, Tables } from "./tables.js";
import type { Tier } from "./tier.js";
import { WriteThrough } from "./write-through.js";

export interface PoolOptions
  extends Pick<StoreOptions, "eviction" | "costs" | "pageBytes" | "portions" | "mayEnter"> {
  readonly engineDigest: string;
  /** Of the driver: Ready.frames and Ready.blocks. Without frames nothing is kept. */
  readonly frames: number;
  readonly blocks: number;
  /** Another hash, for tests of collisions. */
  readonly nameOf?: NameOf;
}

export class PagePool {
  readonly pageBytes: number;
  readonly counters: PoolCounters = emptyCounters();
  readonly #tables: Tables;
  readonly #store: Store;
  /** Saved or loaded by the plan that is being made. */
  #pinned: PoolPage[] = [];
  readonly #writes: WriteThrough;

  constructor({ engineDigest, frames, blocks, nameOf = pageName, ...options }: PoolOptions) {
    this.pageBytes = options.pageBytes;
    this.#tables = new Tables(engineDigest, nameOf, (tail) => this.#store.drop(tail));
    const onUnplaced = (page: PoolPage): void => this.#tables.forgetIfDead(page);
    this.#store = new Store(frames, blocks, { ...options, onUnplaced });
    this.#writes = new WriteThrough(this.#store, (cid) => this.#tables.byContext.has(cid));
  }

  /** A pool that keeps nothing, for a driver without room for pages. */
  static none(): PagePool {
    const costs = { rebuildUs: () => 0, readUs: () => 0 };
    const eviction = (ports: EvictionPorts) => evictionPolicy("lru", ports);
    return new PagePool({ engineDigest: "", frames: 0, blocks: 0, pageBytes: 0, eviction, costs });
  }

  /** Whether pages are kept at all. */
  get on(): boolean {
    return this.#store.frames.count > 0;
  }
  get frames(): Pick<Tier, "count" | "free" | "evicted" | "heldBy" | "heldByProcess"> {
    return this.#store.frames;
  }
  get blocks(): Pick<Tier, "count" | "free" | "evicted" | "heldBy" | "heldByProcess"> {
    return this.#store.blocks;
  }
  /** Frames that wait to be written, when there is room for more writes. */
  get backlog(): number {
    return this.#writes.backlog;
  }

  /**
   * The pages of a history's full 16s, which its context holds from now on. `salt` says
   * who may share them (names.ts), `payer` in whose share of the tiers they count. Where
   * they are kept, if anywhere, the pages say.
   */
  hold(
    cid: bigint,
    history: PagedHistory,
    salt: string,
    pinned = false,
    payer: Payer = { principal: salt, process: 0n },
  ): readonly Page[] {
    return this.#tables.walk(cid, history, { salt, pinned, payer }).pages;
  }

  /** The pages of a context as it stands. */
  holdContext(context: Context): readonly Page[] {
    const { cid, principal, owner, pinned } = context;
    return this.hold(cid, context, saltOf(context), pinned, { principal, process: owner });
  }

  /** The page table as it was held last. */
  pagesOf(cid: bigint): readonly Page[] {
    return this.#tables.byContext.get(cid)?.pages ?? [];
  }

  /** The pages of a context that are kept, from its beginning up to the first that is not. */
  find(cid: bigint): readonly Page[] {
    const pages = this.pagesOf(cid);
    const missing = pages.findIndex((page) => !isKept(page));
    return missing < 0 ? pages : pages.slice(0, missing);
  }

  /** Tokens of a context that are kept, from its beginning up to the first that is not. */
  lengthOf(cid: bigint): number {
    const { length } = this.find(cid);
    const tail = this.tailOf(cid);
    const behind = tail?.depth === length && isKept(tail) ? tail.tokens.length : 0;
    return length * PAGE_TOKENS + behind;
  }

  /** What was saved of a context behind its full pages, when it left its slot. */
  tailOf(cid: bigint): Page | undefined {
    return this.#tables.byContext.get(cid)?.tail;
  }

  /** A new context with the same history: one table more, and no page. */
  fork(from: bigint, to: bigint): void {
    this.#tables.fork(from, to);
  }

  /** The context is gone. Its pages stay until their places are needed; its tail goes. */
  release(cid: bigint, now: number): void {
    this.#tables.drop(cid);
    this.#store.frames.policy.closed(cid, now);
    this.#store.blocks.policy.closed(cid, now);
  }

  /** The principal is gone: nothing that was made for it is kept any more, whoever it was shared with. */
  erase(principal: string): void {
    for (const page of this.#tables.madeFor(principal)) this.#store.drop(page);
  }

  /** One of somebody's pages gives up its place there, if any may. */
  evictOf(tier: "frames" | "blocks", whose: Whose, now: number): boolean {
    return this.#store[tier].evictOf(whose, now);
  }

  /** Its tail is in a slot again, or out of date. */
  releaseTail(cid: bigint): void {
    const table = this.#tables.byContext.get(cid);
    if (table) this.#tables.dropTail(table);
  }

  /** A burst of a held context begins: it uses what is kept of its pages. */
  runs(cid: bigint, now: number): void {
    if (!this.on) return;
    const { frames, blocks } = this.#store;
    frames.policy.runs(cid, now);
    blocks.policy.runs(cid, now);
    for (const page of this.#tables.byContext.get(cid)?.pages ?? []) {
      if (!page.placed) break;
      if (page.frame >= 0) frames.used(page, cid, now);
      if (page.block >= 0) blocks.used(page, cid, now);
    }
  }

  /** A context's burst has ended, and its process waits. */
  waits(cid: bigint, wait: Wait, now: number): void {
    // Of one that has no pages they need not know.
    if (!this.#tables.byContext.has(cid)) return;
    this.#store.frames.policy.waits(cid, wait, now);
    this.#store.blocks.policy.waits(cid, wait, now);
  }

  /**
   * Keeps a page of context `cid` that is in `slot`: what the driver is to save. Undefined
   * when it has a frame, or none can be had, or the page before it is nowhere.
   */
  save(page: Page, cid: bigint, slot: number, now: number): PageSave | undefined {
    const mine = page as PoolPage;
    if (mine.frame >= 0 || !mine.indexed) return undefined;
    if (mine.parent && !mine.parent.placed) return undefined;
    const frame = this.#store.enterFrame(mine, cid, now);
    if (frame < 0) {
      this.counters.refused++;
      return undefined;
    }
    this.#pin(mine);
    const count = mine.full ? PAGE_TOKENS : mine.tokens.length;
    this.counters.saved += count * this.#tokenBytes;
    if (mine.full && mine.block < 0 && this.blocks.count > 0) {
      this.#store.unwritten.set(mine, cid);
    }
    return { slot, start: mine.depth * PAGE_TOKENS, count, frame };
  }

  /**
   * Keeps what a held context has in `slot` behind the full pages of its first `length`
   * tokens. Undefined when that is nothing, or there is no room, or it is kept already.
   */
  saveTail(
    cid: bigint,
    history: PagedHistory,
    length: number,
    slot: number,
    now: number,
  ): PageSave | undefined {
    const table = this.#tables.byContext.get(cid);
    if (!table || length % PAGE_TOKENS === 0) return undefined;
    if (table.pages.length < Math.floor(length / PAGE_TOKENS)) return undefined;
    const page = this.#tables.tail(table, history, length);
    const save = this.save(page, cid, slot, now);
    if (page.frame < 0) this.#tables.dropTail(table);
    return save;
  }

  /** The page keeps its frame until the plan that is being made is made. */
  pin(page: Page): void {
    this.#pin(page as PoolPage);
  }

  /** The frame of which the plan that is being made loads `tokens` tokens. The page has one. */
  load(page: Page, tokens: number): number {
    this.#pin(page as PoolPage);
    this.counters.loaded += tokens * this.#tokenBytes;
    return page.frame;
  }

  /** Reads a page's block into `slot`; PageDone must come of it. Its block is written. */
  read(page: Page, slot: number): PageRead {
    this.#store.begin(page as PoolPage);
    const { block, depth, tokens } = page;
    const name = nameBytes(page.name);
    return { slot, start: depth * PAGE_TOKENS, block, name, tokens: [...tokens] };
  }

  /** Ends the making of a plan: what it is to write, and nothing is pinned any more. */
  seal(now: number): PageWrite[] {
    this.#unpin();
    return this.#writes.next(now);
  }

  /** A read or a write is over. @returns whether it went well */
  done({ block, write, error }: PageDone): boolean {
    const busy = this.#store.busy.get(block);
    if (!busy) return false;
    const good = error === "";
    const { page, released } = busy;
    if (write && !released) page.writing = false;
    if (!good && !released) this.#store.loseBlock(page);
    this.#store.end(block, busy);
    if (good) this.counters[write ? "written" : "read"] += this.pageBytes;
    else if (!write && error === BAD_PAGE) this.counters.badPages++;
    else if (!write) this.counters.swapErrors++;
    if (write && this.#writes.done(block, page, error)) this.counters.swapErrors++;
    return good;
  }

  /** The driver is gone, and with it every frame and whatever was under way. Blocks that were written stay. */
  lost(): void {
    this.#unpin();
    this.#writes.reset();
    this.#store.lost();
  }

  /** The next driver has other room than the last: nothing is kept any more. After `lost`. */
  refit(frames: number, blocks: number): void {
    if (frames === this.frames.count && blocks === this.blocks.count) return;
    this.#store.refit(frames, blocks);
  }

  /** Throws when the books do not add up. For tests and the simulator: it looks at every page. */
  invariants(): void {
    checkPool(this.#tables, this.#store, new Set(this.#pinned));
  }

  /** The contexts that hold most pages, the largest first. */
  holders(limit: number): ({ cid: bigint } & Residency)[] {
    const all = [...this.#tables.byContext.keys()].map((cid) => ({ cid, ...this.residency(cid) }));
    return all.sort((a, b) => b.pages - a.pages || (a.cid < b.cid ? -1 : 1)).slice(0, limit);
  }

  residency(cid: bigint): Residency {
    return residencyOf(this.#tables.byContext.get(cid) ?? { pages: [], tail: undefined });
  }

  get #tokenBytes(): number {
    return this.pageBytes / PAGE_TOKENS;
  }

  #unpin(): void {
    for (const page of this.#pinned) {
      page.planned = false;
      page.pins--;
    }
    this.#pinned = [];
  }

  #pin(page: PoolPage): void {
    if (page.planned) return;
    page.planned = true;
    page.pins++;
    this.#pinned.push(page);
  }
}

/** What the driver says of a block whose name or checksum is not what was written. */
const BAD_PAGE = "bad page";

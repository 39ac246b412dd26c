/**
 * The pages that may be victims, by rank: of all, of one principal, or of one process.
 *
 * Each process has a heap of its leaves, each principal one of his processes by the first
 * of each, and all together one of the principals. So a page lies in one small heap,
 * whoever is asked for, and the heaps above change only when somebody's first does.
 *
 * A page whose rank is not what it was is ranked when somebody asks, not before. While a
 * plan saves a history page by page, each is a leaf until the next one comes; it is pinned
 * as long, so pinned pages wait a little with their rank: most never need one.
 *
 * Pinned ones that come up all the same are set aside, so that no question walks over all
 * of them: each one looks at a few of those again, and at all of them only when nothing
 * else is left.
 */
import type { Page, Payer } from "../page.js";
import type { Whose } from "./policy.js";
import { type Ranked, Ranks } from "./ranks.js";

/** Pages set aside that a question looks at again. */
const LOOKS = 4;
/** Pinned pages that wait with their rank; about as many as slots that save at once. */
const PATIENT = 16;
/** Entries of pages that need no rank any more, at most; beyond that half of all. */
const TIDY = 64;

/** What a policy ranks. */
export interface Candidate<T> {
  readonly page: Page;
  /** Decides between equal ranks. */
  readonly order: number;
  /** Its place here while it is a leaf. */
  leaf: Leaf<T> | undefined;
}

class Leaf<T> implements Ranked {
  at = -1;
  /** Its rank is not what it was. */
  unranked = false;
  /** Its rank while it is set aside. */
  asideKey = 0;

  constructor(
    readonly item: T,
    readonly order: number,
    readonly lot: Lot<T>,
  ) {}
}

/** The leaves of one process; ranked as the first of them is. */
class Lot<T> implements Ranked {
  order = 0;
  at = -1;
  /** Those that are not in the heap included. */
  count = 0;
  /** Its first may be another, or it has none any more. */
  touched = false;
  readonly heap = new Ranks<Leaf<T>>();

  constructor(
    readonly process: bigint,
    readonly group: Group<T>,
  ) {}
}

/** The processes of one principal; ranked as the first of them is. */
class Group<T> implements Ranked {
  order = 0;
  at = -1;
  readonly heap = new Ranks<Lot<T>>();
  readonly lots = new Map<bigint, Lot<T>>();

  constructor(readonly principal: string) {}
}

interface Known<T> {
  readonly payer: Payer;
  readonly lot: Lot<T>;
}

export class Candidates<T extends Candidate<T>> {
  readonly #pinned: (page: Page) => boolean;
  readonly #rank: (item: T) => number;
  readonly #heap = new Ranks<Group<T>>();
  readonly #groups = new Map<string, Group<T>>();
  /** Those whose rank is not what it was, and others: a set would need a hash of each. */
  #unranked: Leaf<T>[] = [];
  #listed = 0;
  readonly #aside = new Set<Leaf<T>>();
  readonly #touched: Lot<T>[] = [];
  /** Of those looked up last: pages come and go in the order of their histories. */
  #known: Known<T> | undefined;
  #knownBefore: Known<T> | undefined;

  /** `rank` says a leaf's rank; the least goes first. */
  constructor(pinned: (page: Page) => boolean, rank: (item: T) => number) {
    this.#pinned = pinned;
    this.#rank = rank;
  }

  /** The item is a leaf, or its rank is another. */
  changed(item: T): void {
    let { leaf } = item;
    if (!leaf) {
      const lot = this.#lot(item.page.payer);
      lot.count++;
      leaf = new Leaf(item, item.order, lot);
      item.leaf = leaf;
    }
    if (leaf.unranked) return;
    leaf.unranked = true;
    this.#unranked.push(leaf);
    if (this.#unranked.length > this.#listed) this.#tidy();
  }

  /** The item is no leaf any more. */
  remove(item: T): void {
    const { leaf } = item;
    if (!leaf) return;
    item.leaf = undefined;
    leaf.unranked = false;
    leaf.lot.count--;
    if (!this.#aside.delete(leaf)) leaf.lot.heap.remove(leaf);
    this.#touch(leaf.lot);
  }

  /** The rank of what `first` has just given. */
  rankOf({ leaf }: T): number {
    return leaf ? leaf.lot.heap.keyOf(leaf) : Number.NaN;
  }

  /** Of all, or of `whose`, the item of the least rank that is not pinned. */
  first(whose?: Whose): T | undefined {
    if (this.#aside.size > 0) this.#lookAgain(LOOKS);
    if (this.#unranked.length > 0) this.#rankAll();
    for (;;) {
      const leaf = this.#top(whose);
      if (!leaf) {
        if (!this.#lookAgain(this.#aside.size)) return undefined;
      } else if (this.#pinned(leaf.item.page)) {
        leaf.asideKey = leaf.lot.heap.keyOf(leaf);
        leaf.lot.heap.remove(leaf);
        this.#touch(leaf.lot);
        this.#aside.add(leaf);
      } else {
        return leaf.item;
      }
    }
  }

  #rankAll(): void {
    const all = this.#unranked;
    let kept = 0;
    for (const leaf of all) {
      if (!leaf.unranked) continue;
      if (kept < PATIENT && this.#pinned(leaf.item.page)) {
        all[kept++] = leaf;
        continue;
      }
      leaf.unranked = false;
      const rank = this.#rank(leaf.item);
      if (this.#aside.size > 0 && this.#aside.has(leaf)) leaf.asideKey = rank;
      else this.#list(leaf, rank);
    }
    shorten(all, kept);
  }

  /** Where nobody asks, those that left must not pile up. */
  #tidy(): void {
    this.#unranked = this.#unranked.filter(({ unranked }) => unranked);
    this.#listed = 2 * this.#unranked.length + TIDY;
  }

  #touch(lot: Lot<T>): void {
    if (lot.touched) return;
    lot.touched = true;
    this.#touched.push(lot);
  }

  #list(leaf: Leaf<T>, rank: number): void {
    leaf.lot.heap.set(leaf, rank);
    this.#touch(leaf.lot);
  }

  /** Whether any of the `count` set aside longest is back. */
  #lookAgain(count: number): boolean {
    let back = false;
    let left = Math.min(count, this.#aside.size);
    for (const leaf of this.#aside) {
      if (left-- <= 0) break;
      this.#aside.delete(leaf);
      if (this.#pinned(leaf.item.page)) {
        this.#aside.add(leaf);
      } else {
        this.#list(leaf, leaf.asideKey);
        back = true;
      }
    }
    return back;
  }

  #top(whose: Whose | undefined): Leaf<T> | undefined {
    this.#refresh();
    const group = whose ? this.#groups.get(whose.principal) : this.#heap.first;
    const lot = whose?.process === undefined ? group?.heap.first : group?.lots.get(whose.process);
    return lot?.heap.first;
  }

  #refresh(): void {
    for (const lot of this.#touched) {
      const { group } = lot;
      place(group.heap, lot, lot.heap);
      place(this.#heap, group, group.heap);
      lot.touched = false;
      if (lot.count === 0) this.#drop(lot);
    }
    shorten(this.#touched, 0);
  }

  #drop({ process, group }: Lot<T>): void {
    this.#known = undefined;
    this.#knownBefore = undefined;
    group.lots.delete(process);
    if (group.lots.size === 0) this.#groups.delete(group.principal);
  }

  #lot(payer: Payer): Lot<T> {
    if (this.#known?.payer === payer) return this.#known.lot;
    if (this.#knownBefore?.payer === payer) return this.#knownBefore.lot;
    const { principal, process } = payer;
    let group = this.#groups.get(principal);
    if (!group) {
      group = new Group(principal);
      this.#groups.set(principal, group);
    }
    let lot = group.lots.get(process);
    if (!lot) {
      lot = new Lot(process, group);
      group.lots.set(process, lot);
    }
    this.#knownBefore = this.#known;
    this.#known = { payer, lot };
    return lot;
  }
}

/** One by one, so that the array keeps its memory: a new one at each question costs more than all the rest. */
function shorten(all: unknown[], length: number): void {
  while (all.length > length) all.pop();
}

/** Ranks what has a heap of its own as the first in it; without any it has no rank. */
function place<T extends Ranked, U extends Ranked>(heap: Ranks<T>, item: T, own: Ranks<U>): void {
  const { first } = own;
  if (!first) {
    heap.remove(item);
    return;
  }
  const key = own.keyOf(first);
  if (item.at >= 0 && item.order === first.order && heap.keyOf(item) === key) return;
  item.order = first.order;
  heap.set(item, key);
}

/**
 * `agent`: a page stays for what its contexts are expected to do.
 *
 * A process that waits on a tool, a timer or a message comes back after a time that its
 * kind of wait lets one guess. InferCept (Abhyankar et al., "INFERCEPT: efficient intercept
 * support for augmented large language model inference", 2024) compares at each pause what
 * keeping, swapping and dropping waste, in byte-seconds. Here the same comparison is made
 * as a rank, because what memory is worth is what the next best use of it is:
 *
 *     rank = Σ over its contexts of returns per second of keeping it
 *            × what losing it costs ÷ its bytes
 *
 * Losing costs the cheaper of computing it again and fetching it from the tier below. So
 * in RAM, above a swap file, a page with a short way back goes (*swap*) before one that
 * would have to be computed; in the swap file, and in RAM without one, going means *drop*;
 * and whatever ranks above the least is *kept*. Pages go one by one from the end of a
 * history, and who comes back wants all of them: so what computing a page costs is the
 * mean of its history's pages. Its own would send a history away from its cheap end only.
 *
 * Returns per second is the Gittins index of the wait (waits.ts), which also knows when
 * keeping on does not pay any more. Waits are learned by their kind, and within it by
 * how often the context has waited: one that came back five times mostly comes back again.
 *
 * A context counts for the deepest of its pages that is here: that one is a leaf, or
 * others hang behind it, and it moves up when that page goes. A page without contexts can
 * still be found by newcomers with the same history; how soon, findings.ts learns.
 *
 * Ranks change as time passes, but only when a wait grows into another bucket of its
 * sketch: a second heap says which page is due. A page is ranked about 60 times at most
 * while nothing happens to it.
 */

import type { Page } from "../page.js";
import { type Candidate, Candidates } from "./candidates.js";
import { type Findable, Findings } from "./findings.js";
import {
  type EvictionPolicy,
  type EvictionPorts,
  NOBODY,
  type Wait,
  type Whose,
} from "./policy.js";
import { type Ranked, Ranks } from "./ranks.js";
import { isLeaf, type Node, Tree } from "./tree.js";
import { nextAge, type WaitSketch, Waits } from "./waits.js";

/** Contexts of a page that its rank counts, at most: more make no difference to its order. */
const COUNTED = 8;
/** Waits of a context from here on are one class. */
const OFTEN = 4;
/** A burst that runs: how long until its context's next one, this one's rest included. */
const RUNNING: Wait = { kind: "running" };
/** A process that should be back by now is, any moment. */
const SOON_US = 1000;

class AgentNode implements Node, Findable, Candidate<AgentNode> {
  here = false;
  children = 0;
  own = false;
  foundAt = 0;
  interval = -1;
  /** Of its history as far as it is known: how many pages, and to compute all of them. */
  depth = 0;
  historyUs = 0;
  /** Contexts whose deepest page here it is: the one that came first, and it knows the next. */
  first: Holder | undefined = undefined;
  last: Holder | undefined = undefined;
  leaf: Candidate<AgentNode>["leaf"] = undefined;
  due: Due | undefined = undefined;

  constructor(
    readonly page: Page,
    readonly order: number,
  ) {}
}

/** When a leaf is to be ranked again. */
class Due implements Ranked {
  at = -1;
  /** Undefined: nobody's just now. */
  node: AgentNode | undefined = undefined;

  constructor(readonly order: number) {}
}

/** A context that is not closed. */
interface Holder {
  deepest: AgentNode | undefined;
  /** Its neighbours among the contexts of that page. */
  previous: Holder | undefined;
  next: Holder | undefined;
  wait: Wait;
  /** Of the waits like that. */
  sketch: WaitSketch;
  /** When its burst began, or ended. */
  since: number;
  ranSince: number;
  /** How often it has waited. */
  waited: number;
  /** It has not waited yet: what it finds, others made. */
  newcomer: boolean;
}

export class Agent implements EvictionPolicy {
  readonly name = "agent";
  /** What was learned. */
  readonly learned = new Waits();
  readonly #ports: EvictionPorts;
  readonly #tree: Tree<AgentNode>;
  readonly #candidates: Candidates<AgentNode>;
  readonly #due = new Ranks<Due>();
  /**
   * Of a page that went: it stays where it lies, since the page before it is due at about the
   * same time and takes it over. Moving in a heap of thousands is what costs.
   */
  #idle: Due | undefined;
  #dues = 0;
  readonly #holders = new Map<bigint, Holder>();
  readonly #running: WaitSketch;
  readonly #findings = new Findings(this.learned);
  #now = 0;
  #made = 0;
  /** Whose page came last: the next one's too, mostly. */
  #last: { readonly cid: bigint; readonly holder: Holder } | undefined;

  constructor(ports: EvictionPorts) {
    this.#ports = ports;
    this.#tree = new Tree(ports.node, (page) => new AgentNode(page, ++this.#made));
    this.#candidates = new Candidates(
      (page) => ports.pinned(page),
      (node) => this.#rank(node, this.#now),
    );
    this.#running = this.learned.of(RUNNING.kind);
  }

  added(page: Page, cid: bigint, now: number): void {
    this.#now = now;
    const { node, parent } = this.#tree.add(page);
    if (parent) this.#unlist(parent);
    this.#findings.begin(node, parent, now);
    node.depth = (parent?.depth ?? 0) + 1;
    // Whole numbers are kept in the node itself, and others beside it.
    node.historyUs = (parent?.historyUs ?? 0) + Math.round(this.#ports.rebuildUs(page));
    if (cid === NOBODY) this.#changed(node);
    else this.#reach(this.#holder(cid), node);
  }

  used(page: Page, cid: bigint, now: number): void {
    this.#now = now;
    const node = this.#tree.get(page);
    if (!node) return;
    const holder = this.#holder(cid);
    if (holder.newcomer) this.#findings.found(node, now);
    this.#reach(holder, node);
  }

  removed(page: Page): void {
    const gone = this.#tree.remove(page);
    if (!gone) return;
    const { node, parent } = gone;
    this.#unlist(node);
    this.#findings.lost(node, this.#now);
    for (let holder = node.first; holder; holder = node.first) {
      detach(holder);
      if (parent) attach(holder, parent);
    }
    if (parent) this.#changed(parent);
  }

  runs(cid: bigint, now: number): void {
    this.#now = now;
    const holder = this.#holder(cid);
    if (!holder.newcomer || holder.wait !== RUNNING) {
      if (holder.wait !== RUNNING && holder.wait.until === undefined) {
        holder.sketch.returned(now - holder.since);
      }
      this.#running.returned(now - holder.ranSince);
      holder.newcomer = false;
    }
    holder.ranSince = now;
    this.#turn(holder, RUNNING, now);
  }

  waits(cid: bigint, wait: Wait, now: number): void {
    this.#now = now;
    const holder = this.#holder(cid);
    holder.newcomer = false;
    // Whatever it turns to until it runs again, it is one wait, since its burst ended.
    const goesOn = holder.wait !== RUNNING;
    if (!goesOn) holder.waited++;
    this.#turn(holder, wait, goesOn ? holder.since : now);
  }

  closed(cid: bigint, now: number): void {
    this.#now = now;
    const holder = this.#holders.get(cid);
    if (!holder) return;
    this.#holders.delete(cid);
    this.#last = undefined;
    if (holder.wait !== RUNNING) holder.sketch.ended(now - holder.since);
    // Its burst was the last: nobody came back for what it ran with.
    this.#running.ended(now - holder.ranSince);
    const { deepest } = holder;
    detach(holder);
    if (deepest) this.#changed(deepest);
  }

  victim(now: number, whose?: Whose): Page | undefined {
    this.#now = now;
    for (let due = this.#due.first; due && this.#due.keyOf(due) <= now; due = this.#due.first) {
      this.#due.remove(due);
      if (due.node) this.#candidates.changed(due.node);
    }
    return this.#candidates.first(whose)?.page;
  }

  #holder(cid: bigint): Holder {
    if (this.#last?.cid === cid) return this.#last.holder;
    const holder = this.#holders.get(cid) ?? this.#newcomer(cid);
    this.#last = { cid, holder };
    return holder;
  }

  #newcomer(cid: bigint): Holder {
    const holder: Holder = {
      deepest: undefined,
      previous: undefined,
      next: undefined,
      wait: RUNNING,
      sketch: this.#running,
      since: this.#now,
      ranSince: this.#now,
      waited: 0,
      newcomer: true,
    };
    this.#holders.set(cid, holder);
    return holder;
  }

  /** The context's history goes as far as this page. */
  #reach(holder: Holder, node: AgentNode): void {
    if (holder.deepest !== node) {
      const former = holder.deepest;
      detach(holder);
      attach(holder, node);
      if (former) this.#changed(former);
    }
    this.#changed(node);
  }

  #turn(holder: Holder, wait: Wait, since: number): void {
    holder.wait = wait;
    holder.sketch = this.#sketch(holder, wait);
    holder.since = since;
    if (holder.deepest) this.#changed(holder.deepest);
  }

  #sketch({ waited }: Holder, wait: Wait): WaitSketch {
    if (wait === RUNNING) return this.#running;
    return this.learned.ofPart(wait.kind, Math.min(waited, OFTEN));
  }

  #changed(node: AgentNode): void {
    if (isLeaf(node)) this.#candidates.changed(node);
  }

  #unlist(node: AgentNode): void {
    this.#candidates.remove(node);
    const { due } = node;
    if (!due) return;
    node.due = undefined;
    due.node = undefined;
    if (this.#idle) this.#due.remove(due);
    else this.#idle = due;
  }

  #dueOf(node: AgentNode): Due {
    const due = this.#idle ?? new Due(++this.#dues);
    this.#idle = undefined;
    due.node = node;
    return due;
  }

  #rank(node: AgentNode, now: number): number {
    const { page, foundAt } = node;
    let rate = this.#findings.of(node).index(now - foundAt);
    let due = foundAt + nextAge(now - foundAt);
    let counted = 0;
    for (let holder = node.first; holder && ++counted <= COUNTED; holder = holder.next) {
      rate += returns(holder, now);
      due = Math.min(due, changesAt(holder, now));
    }
    const lossUs = Math.min(node.historyUs / node.depth, this.#ports.fetchUs(page));
    node.due ??= this.#dueOf(node);
    this.#due.set(node.due, Math.max(due, now + 1));
    return (rate * lossUs) / this.#ports.bytes(page);
  }
}

/** The page is the context's deepest. */
function attach(holder: Holder, node: AgentNode): void {
  holder.deepest = node;
  holder.previous = node.last;
  if (node.last) node.last.next = holder;
  else node.first = holder;
  node.last = holder;
}

/** The context has no deepest page any more. */
function detach(holder: Holder): void {
  const { deepest, previous, next } = holder;
  if (!deepest) return;
  if (previous) previous.next = next;
  else deepest.first = next;
  if (next) next.previous = previous;
  else deepest.last = previous;
  holder.deepest = undefined;
  holder.previous = undefined;
  holder.next = undefined;
}

/** What the context adds to the returns per microsecond. */
function returns({ wait, sketch, since }: Holder, now: number): number {
  if (wait.until !== undefined) return 1 / Math.max(wait.until - now, SOON_US);
  return sketch.index(now - since);
}

/** When the context's part in a rank is another: its wait grew into the next bucket. */
function changesAt({ wait, since }: Holder, now: number): number {
  // What is left of a known time counts in halves, like the buckets in octaves.
  if (wait.until !== undefined) return now + Math.max(wait.until - now, SOON_US) / 2;
  return since + nextAge(now - since);
}

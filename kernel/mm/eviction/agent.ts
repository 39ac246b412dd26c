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
import { Candidates } from "./candidates.js";
import { type Findable, Findings } from "./findings.js";
import { Entry, Heap } from "./heap.js";
import type { EvictionPolicy, EvictionPorts, Wait } from "./policy.js";
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

class AgentNode implements Node, Findable {
  here = false;
  children = 0;
  own = false;
  foundAt = 0;
  interval = -1;
  /** Of its history as far as it is known: how many pages, and to compute all of them. */
  depth = 0;
  historyUs = 0;
  /** Contexts whose deepest page here it is. */
  readonly contexts = new Set<Holder>();
  readonly rank: Entry<AgentNode>;
  readonly due: Entry<AgentNode>;

  constructor(
    readonly page: Page,
    order: number,
  ) {
    this.rank = new Entry<AgentNode>(this, order);
    this.due = new Entry<AgentNode>(this, order);
  }
}

/** A context that is not closed. */
interface Holder {
  deepest: AgentNode | undefined;
  wait: Wait;
  /** Of the waits like that. */
  sketch: WaitSketch;
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
  readonly #due = new Heap<AgentNode>();
  /** Pages whose rank is not what it was: ranked when a victim is wanted, not before. */
  readonly #unranked = new Set<AgentNode>();
  readonly #holders = new Map<bigint, Holder>();
  readonly #running: WaitSketch;
  readonly #findings = new Findings(this.learned);
  #now = 0;
  #made = 0;

  constructor(ports: EvictionPorts) {
    this.#ports = ports;
    this.#tree = new Tree((page) => new AgentNode(page, ++this.#made));
    this.#candidates = new Candidates((page) => ports.pinned(page));
    this.#running = this.learned.of(RUNNING.kind);
  }

  added(page: Page, cid: bigint, now: number): void {
    this.#now = now;
    const { node, parent } = this.#tree.add(page);
    if (parent) this.#unlist(parent);
    this.#findings.begin(node, parent, now);
    node.depth = (parent?.depth ?? 0) + 1;
    node.historyUs = (parent?.historyUs ?? 0) + this.#ports.rebuildUs(page);
    this.#reach(this.#holder(cid), node);
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
    for (const holder of node.contexts) {
      holder.deepest = parent;
      parent?.contexts.add(holder);
    }
    node.contexts.clear();
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
    holder.waited++;
    this.#turn(holder, wait, now);
  }

  closed(cid: bigint, now: number): void {
    this.#now = now;
    const holder = this.#holders.get(cid);
    if (!holder) return;
    this.#holders.delete(cid);
    if (holder.wait !== RUNNING) holder.sketch.ended(now - holder.since);
    // Its burst was the last: nobody came back for what it ran with.
    this.#running.ended(now - holder.ranSince);
    holder.deepest?.contexts.delete(holder);
    if (holder.deepest) this.#changed(holder.deepest);
  }

  victim(now: number): Page | undefined {
    this.#now = now;
    for (let due = this.#due.first; due && due.key <= now; due = this.#due.first) {
      this.#rank(due.item, now);
    }
    for (const node of this.#unranked) this.#rank(node, now);
    this.#unranked.clear();
    return this.#candidates.first()?.item.page;
  }

  #holder(cid: bigint): Holder {
    const known = this.#holders.get(cid);
    if (known) return known;
    const holder: Holder = {
      deepest: undefined,
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
      holder.deepest = node;
      node.contexts.add(holder);
      if (former) {
        former.contexts.delete(holder);
        this.#changed(former);
      }
    }
    this.#changed(node);
  }

  #turn(holder: Holder, wait: Wait, now: number): void {
    holder.wait = wait;
    holder.sketch = this.#sketch(holder, wait);
    holder.since = now;
    if (holder.deepest) this.#changed(holder.deepest);
  }

  #sketch({ waited }: Holder, wait: Wait): WaitSketch {
    if (wait === RUNNING) return this.#running;
    return this.learned.ofPart(wait.kind, Math.min(waited, OFTEN));
  }

  #changed(node: AgentNode): void {
    if (isLeaf(node)) this.#unranked.add(node);
  }

  #unlist(node: AgentNode): void {
    this.#unranked.delete(node);
    this.#candidates.remove(node.rank);
    this.#due.remove(node.due);
  }

  #rank(node: AgentNode, now: number): void {
    const { page, foundAt } = node;
    let rate = this.#findings.of(node).index(now - foundAt);
    let due = foundAt + nextAge(now - foundAt);
    let counted = 0;
    for (const holder of node.contexts) {
      if (++counted > COUNTED) break;
      rate += returns(holder, now);
      due = Math.min(due, changesAt(holder, now));
    }
    const lossUs = Math.min(node.historyUs / node.depth, this.#ports.fetchUs(page));
    this.#candidates.set(node.rank, (rate * lossUs) / this.#ports.bytes(page));
    this.#due.set(node.due, Math.max(due, now + 1));
  }
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

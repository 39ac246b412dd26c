/**
 * `cost`: what is cheap to have back, large and seldom used goes first.
 *
 * GreedyDual-Size with frequency (Cao and Irani, "Cost-aware WWW proxy caching
 * algorithms", 1997; Cherkasova, "Improving WWW proxies performance with
 * Greedy-Dual-Size-Frequency caching policy", 1998). A page's rank is
 *
 *     L + uses × cost ÷ bytes
 *
 * where `cost` is what it takes to have the page again (rebuilt, or fetched from the
 * tier below where it can be), and `uses` stands for the probability of reuse. L is the
 * rank of the last victim: it rises with every eviction, so a page that was worth much
 * and is not used any more is overtaken by what is used now. Only leaves are ranked.
 * A prefix that many contexts share has many uses when its last child goes, and its
 * depth makes it dear: it stays.
 */

import type { Page } from "../page.js";
import { type Candidate, Candidates } from "./candidates.js";
import type { EvictionPolicy, EvictionPorts, Whose } from "./policy.js";
import { lossUs } from "./price.js";
import { isLeaf, type Node, Tree } from "./tree.js";

class CostNode implements Node, Candidate<CostNode> {
  here = false;
  children = 0;
  uses = 0;
  /** L when it was used last. */
  floor = 0;
  leaf: Candidate<CostNode>["leaf"] = undefined;

  constructor(
    readonly page: Page,
    readonly order: number,
  ) {}
}

export class Cost implements EvictionPolicy {
  readonly name = "cost";
  readonly #ports: EvictionPorts;
  readonly #tree: Tree<CostNode>;
  readonly #candidates: Candidates<CostNode>;
  #floor = 0;
  #made = 0;

  constructor(ports: EvictionPorts) {
    this.#ports = ports;
    this.#tree = new Tree(ports.node, (page) => new CostNode(page, ++this.#made));
    this.#candidates = new Candidates(
      (page) => ports.pinned(page),
      (node) => this.#rank(node),
    );
  }

  added(page: Page): void {
    const { node, parent } = this.#tree.add(page);
    if (parent) this.#candidates.remove(parent);
    this.#touch(node);
  }

  used(page: Page): void {
    const node = this.#tree.get(page);
    if (node) this.#touch(node);
  }

  removed(page: Page): void {
    const gone = this.#tree.remove(page);
    if (!gone) return;
    this.#candidates.remove(gone.node);
    gone.node.uses = 0;
    if (gone.parent && isLeaf(gone.parent)) this.#candidates.changed(gone.parent);
  }

  runs(): void {}
  waits(): void {}
  closed(): void {}

  victim(_now: number, whose?: Whose): Page | undefined {
    const first = this.#candidates.first(whose);
    // Asked twice for the same victim, L is the same: it only ever rises to a rank.
    if (first) this.#floor = Math.max(this.#floor, this.#candidates.rankOf(first));
    return first?.page;
  }

  #touch(node: CostNode): void {
    node.uses++;
    node.floor = this.#floor;
    if (isLeaf(node)) this.#candidates.changed(node);
  }

  #rank({ page, uses, floor }: CostNode): number {
    return floor + (uses * lossUs(this.#ports, page)) / this.#ports.bytes(page);
  }
}

/**
 * `lru`: the leaf that was used longest ago goes first.
 *
 * Leaves lie in an `lru-cache` in the order of their last use, which keeps account of
 * their bytes. A page that becomes a leaf when its last child goes was last used earlier
 * than some that are there; a cache of that kind has no way in but the front. Such pages
 * lie in a heap by the time of their use until somebody uses them again, and the older
 * of the two firsts is the victim. Its last child was the oldest of all a moment ago,
 * so the heap's first is mostly the parent of the victim before.
 */
import { LRUCache } from "lru-cache";
import type { Page } from "../page.js";
import { Candidates } from "./candidates.js";
import { Entry } from "./heap.js";
import type { EvictionPolicy, EvictionPorts } from "./policy.js";
import { isLeaf, type Node, Tree } from "./tree.js";

class LruNode implements Node {
  here = false;
  children = 0;
  lastUsed = 0;
  /** In the heap of late leaves. */
  readonly late: Entry<LruNode>;

  constructor(
    readonly page: Page,
    order: number,
  ) {
    this.late = new Entry<LruNode>(this, order);
  }
}

export class Lru implements EvictionPolicy {
  readonly name = "lru";
  readonly #ports: EvictionPorts;
  readonly #tree: Tree<LruNode>;
  readonly #leaves: LRUCache<Page, LruNode>;
  readonly #late: Candidates<LruNode>;
  #made = 0;

  constructor(ports: EvictionPorts) {
    this.#ports = ports;
    this.#tree = new Tree((page) => new LruNode(page, ++this.#made));
    // Room is the pool's affair: the cache itself never lets go of anything.
    this.#leaves = new LRUCache<Page, LruNode>({
      maxSize: Number.MAX_SAFE_INTEGER,
      sizeCalculation: (_, page) => ports.bytes(page),
    });
    this.#late = new Candidates((page) => ports.pinned(page));
  }

  added(page: Page, _cid: bigint, now: number): void {
    const { node, parent } = this.#tree.add(page);
    if (parent) this.#unlist(parent);
    node.lastUsed = now;
    if (isLeaf(node)) this.#leaves.set(page, node);
  }

  used(page: Page, _cid: bigint, now: number): void {
    const node = this.#tree.get(page);
    if (!node) return;
    node.lastUsed = now;
    if (!isLeaf(node) || this.#leaves.get(page)) return;
    this.#late.remove(node.late);
    this.#leaves.set(page, node);
  }

  removed(page: Page): void {
    const gone = this.#tree.remove(page);
    if (!gone) return;
    this.#unlist(gone.node);
    if (gone.parent && isLeaf(gone.parent)) this.#late.set(gone.parent.late, gone.parent.lastUsed);
  }

  runs(): void {}
  waits(): void {}
  closed(): void {}

  victim(now: number): Page | undefined {
    const listed = this.#oldest(now);
    const late = this.#late.first()?.item;
    if (!listed || !late) return (listed ?? late)?.page;
    return late.lastUsed <= listed.lastUsed ? late.page : listed.page;
  }

  /** The cache's oldest that is not pinned. A pinned page is in use, and counts as used now. */
  #oldest(now: number): LruNode | undefined {
    for (let left = this.#leaves.size; left > 0; left--) {
      const node = this.#first();
      if (!node || !this.#ports.pinned(node.page)) return node;
      node.lastUsed = now;
      this.#leaves.get(node.page);
    }
    return undefined;
  }

  #first(): LruNode | undefined {
    for (const page of this.#leaves.rkeys()) return this.#leaves.peek(page);
    return undefined;
  }

  #unlist(node: LruNode): void {
    this.#late.remove(node.late);
    this.#leaves.delete(node.page);
  }
}

/**
 * `lru`: the leaf that was used longest ago goes first.
 *
 * Leaves lie in an `lru-cache` in the order of their last use, which keeps account of
 * their bytes; those of each principal and of each process in one of their own, for when
 * somebody has more than his share. A page that becomes a leaf when its last child goes
 * was last used earlier than some that are there; a cache of that kind has no way in but
 * the front. Such pages are ranked by the time of their use until somebody uses them
 * again, and the older of the two firsts is the victim. Its last child was the oldest of
 * all a moment ago, so the first by rank is mostly the parent of the victim before.
 */
import { LRUCache } from "lru-cache";
import { type Page, processOf } from "../page.js";
import { type Candidate, Candidates } from "./candidates.js";
import type { EvictionPolicy, EvictionPorts, Whose } from "./policy.js";
import { isLeaf, type Node, Tree } from "./tree.js";

class LruNode implements Node, Candidate<LruNode> {
  here = false;
  children = 0;
  lastUsed = 0;
  /** Among the late leaves. */
  leaf: Candidate<LruNode>["leaf"] = undefined;

  constructor(
    readonly page: Page,
    readonly order: number,
  ) {}
}

type Leaves = LRUCache<Page, LruNode>;

export class Lru implements EvictionPolicy {
  readonly name = "lru";
  readonly #ports: EvictionPorts;
  readonly #tree: Tree<LruNode>;
  readonly #leaves: Leaves;
  readonly #principals = new Map<string, Leaves>();
  readonly #processes = new Map<bigint | string, Leaves>();
  readonly #late: Candidates<LruNode>;
  #made = 0;

  constructor(ports: EvictionPorts) {
    this.#ports = ports;
    this.#tree = new Tree(ports.node, (page) => new LruNode(page, ++this.#made));
    this.#leaves = this.#make();
    this.#late = new Candidates(
      (page) => ports.pinned(page),
      ({ lastUsed }) => lastUsed,
    );
  }

  added(page: Page, _cid: bigint, now: number): void {
    const { node, parent } = this.#tree.add(page);
    if (parent) this.#unlist(parent);
    node.lastUsed = now;
    if (isLeaf(node)) this.#list(node);
  }

  used(page: Page, _cid: bigint, now: number): void {
    const node = this.#tree.get(page);
    if (!node) return;
    node.lastUsed = now;
    if (!isLeaf(node)) return;
    this.#late.remove(node);
    this.#list(node);
  }

  removed(page: Page): void {
    const gone = this.#tree.remove(page);
    if (!gone) return;
    this.#unlist(gone.node);
    if (gone.parent && isLeaf(gone.parent)) this.#late.changed(gone.parent);
  }

  runs(): void {}
  waits(): void {}
  closed(): void {}

  victim(now: number, whose?: Whose): Page | undefined {
    const listed = this.#oldest(now, this.#leavesOf(whose));
    const late = this.#late.first(whose);
    if (!listed || !late) return (listed ?? late)?.page;
    return late.lastUsed <= listed.lastUsed ? late.page : listed.page;
  }

  /** Of these the oldest that is not pinned. A pinned page is in use, and counts as used now. */
  #oldest(now: number, leaves: Leaves | undefined): LruNode | undefined {
    for (let left = leaves?.size ?? 0; left > 0; left--) {
      const node = first(leaves);
      if (!node || !this.#ports.pinned(node.page)) return node;
      node.lastUsed = now;
      this.#list(node);
    }
    return undefined;
  }

  /** The leaf was used just now. */
  #list(node: LruNode): void {
    const { payer } = node.page;
    this.#leaves.set(node.page, node);
    ensure(this.#principals, payer.principal, () => this.#make()).set(node.page, node);
    ensure(this.#processes, processOf(payer), () => this.#make()).set(node.page, node);
  }

  #unlist(node: LruNode): void {
    this.#late.remove(node);
    if (!this.#leaves.delete(node.page)) return;
    const { payer } = node.page;
    without(this.#principals, payer.principal, node.page);
    without(this.#processes, processOf(payer), node.page);
  }

  #leavesOf(whose: Whose | undefined): Leaves | undefined {
    if (!whose) return this.#leaves;
    const { principal, process } = whose;
    if (process === undefined) return this.#principals.get(principal);
    return this.#processes.get(processOf({ principal, process }));
  }

  #make(): Leaves {
    // Room is the pool's affair: the cache itself never lets go of anything.
    return new LRUCache({
      maxSize: Number.MAX_SAFE_INTEGER,
      sizeCalculation: (_, page) => this.#ports.bytes(page),
    });
  }
}

function first(leaves: Leaves | undefined): LruNode | undefined {
  for (const page of leaves?.rkeys() ?? []) return leaves?.peek(page);
  return undefined;
}

function ensure<K>(all: Map<K, Leaves>, key: K, make: () => Leaves): Leaves {
  const known = all.get(key);
  if (known) return known;
  const made = make();
  all.set(key, made);
  return made;
}

function without<K>(all: Map<K, Leaves>, key: K, page: Page): void {
  const leaves = all.get(key);
  leaves?.delete(page);
  if (leaves?.size === 0) all.delete(key);
}
